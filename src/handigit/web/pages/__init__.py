"""The HTML pages: one module per page, each with its template and its script."""

from fastapi import APIRouter

from handigit.web.pages import forms, insights, learn, models, read, readings, review, sign_in, users

router = APIRouter(include_in_schema=False)
for _page in (read, forms, review, readings, insights, models, learn, users, sign_in):
    router.include_router(_page.router)
