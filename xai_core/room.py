"""What the device has room for at a time: less, once it ran out of memory."""

from dataclasses import dataclass, field

QUERY_BATCH = 34
"""Pictures to a pass of queries: shorter ones are padded, so that one program serves them all.

Deletion and insertion ask about 99 to 101 pictures at their 100 steps. Those are three passes with
next to nothing padded; of 32 pictures they were four, a fifth of which was padding.
"""


@dataclass
class Room:
    """How many go at a time, of one run: state that the run's batches and queries share."""

    pictures: int = 1
    """To a batch."""
    queries: int = field(default_factory=lambda: QUERY_BATCH)
    """To a pass of queries."""
    notices: list[str] = field(default_factory=list)
    """What did not fit."""

    def halve_pictures(self) -> None:
        """Go on with half of the pictures."""
        self.pictures = self._halved(self.pictures, "pictures to a batch")

    def halve_queries(self) -> None:
        """Go on with half of the queries."""
        self.queries = self._halved(self.queries, "queries to a pass")

    def _halved(self, count: int, what: str) -> int:
        half = count // 2
        told = f"the device ran out of memory with {count} {what}: went on with {half}"
        self.notices.append(told)
        return half
