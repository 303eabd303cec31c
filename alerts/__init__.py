"""Tell the officer on call: rule, rota, outbox, channels."""

from alerts.base import Channel, Message, Receipt
from alerts.channels import configured_channels
from alerts.outbox import Alerter, Report
from alerts.rota import Rota, load_rota, on_call, save_rota
from alerts.rules import Decision, decide

__all__ = [
    "Alerter", "Channel", "Decision", "Message", "Receipt", "Report", "Rota",
    "configured_channels", "decide", "load_rota", "on_call", "save_rota",
]  # fmt: skip
