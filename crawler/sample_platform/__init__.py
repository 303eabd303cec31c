"""A local platform that speaks the official Weibo API's JSON and plays a sample city's day."""

from __future__ import annotations

from crawler.sample_platform.api import Faults
from crawler.sample_platform.city import City, CityAccount, Rota, load_city
from crawler.sample_platform.server import SamplePlatform, start_server

__all__ = ["City", "CityAccount", "Faults", "Rota", "SamplePlatform", "load_city", "start_server"]
