"""Forms: a template says where the fields are; scans of the form become records.

In order: `template` and `template_toml` (what a form is), `print_form` (a form to print), `align` (where a page's
fields are), `fields` (what is in each), `checks` and `joint` (what must agree), `reader` (scans to records), `export`.
"""
