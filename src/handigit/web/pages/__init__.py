"""The HTML pages: one module per group of pages; each page has a template, most have a script."""

from fastapi import APIRouter

from handigit.web.pages import (
    accounts,
    batches,
    forms,
    insights,
    learn,
    models,
    offline,
    read,
    readings,
    records,
    review,
)

router = APIRouter(include_in_schema=False)
for _page in (read, offline, forms, batches, records, review, readings, insights, models, learn, accounts):
    router.include_router(_page.router)
