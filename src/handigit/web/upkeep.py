"""What the server does by itself, now and then: forget for good what is older than the settings allow."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from handigit.errors import HandigitError
from handigit.store import Store

log = logging.getLogger(__name__)
_EVERY_S: Final = 3600.0


async def forget_regularly(store: Store, *, days: float, every_s: float = _EVERY_S) -> None:
    """Delete readings older than so many days, at once and then every hour, until cancelled."""
    while True:
        before = datetime.now(UTC) - timedelta(days=days)
        try:
            deleted = await asyncio.to_thread(store.forget, before=before)
            log.info("forgotten", extra={"readings": deleted.readings, "pictures": deleted.pictures})
        except HandigitError as problem:
            log.error("not forgotten", extra={"error": type(problem).__name__})
        await asyncio.sleep(every_s)
