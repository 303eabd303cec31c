"""Every number of grouping that hangs on data or on the model's vectors, in one place.

Chosen on the development streams by `python -m benchmarks.incident_thresholds`, which is to be run
after every change of the model (docs/incidents.md, "After another model"). All similarities are on
one scale: `WORDS_SHARE` times the tf-idf cosine and the rest times the cosine of the vectors, where
unrelated posts have about 0.08.
"""

from __future__ import annotations

MEAN_COSINE = 0.49
SPREAD_COSINE = 0.09
"""Mean and standard deviation of the cosine of two posts of a stream, with the shipped model. The
cosines of another model are brought to mean 0.5 and deviation 0.08, on which the rest is tuned."""
UNKNOWN_COSINE = 0.55
"""Stands in for the cosine where one side has no vector of the same model."""

WORDS_SHARE = 0.85
"""Share of the words in a similarity; the rest is the vectors'."""
THRESHOLD = 0.13
"""Likeness from which a post joins a group."""
NEAREST_SHARE = 0.7
"""Share of the nearest post in the likeness with a group; the rest is the mean of its latest."""
WHOLE_THRESHOLD = 0.09
"""Or: mean similarity with the latest posts of a group of three or more. What they have in common
by chance is different with each, so their mean scatters less than the nearest one's."""
SHARED = 0.06
"""Similarity that a common key adds at once."""
NAMED = 0.03
"""Likeness with a group that a post gains which has a name of it (`names`)."""
APART = 0.05
"""What two posts lose of which neither names a place that holds, or lies in, one of the other."""

LATER = 0.03
LATER_UNIT = 30 * 24 * 3600.0
"""Two posts lose `LATER` times ln(1 + time between / `LATER_UNIT`): what people say months apart in
like words is mostly another matter of the same kind."""

MERGE_FROM = 0.135
"""Mean similarity of the posts of two groups from which they are one."""
BRIDGES = 0.5
"""Or: share of the posts of both whose likeness with the other group is as high."""
DIVIDE_BELOW = 0.09
"""Similarity of two parts under which they are two matters: the median over their pairs, because
the posts that chained them, which speak of both, lift the mean."""
DIVIDE_GAIN = 0.06
"""So much more alike than the parts must each part be in itself, on average."""
