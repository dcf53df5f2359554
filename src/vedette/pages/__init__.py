"""What every page and picture is made with: boxes drawn on pictures, curves as SVG, HTML by templates.

No torch here, and jinja2 alone once a page is rendered."""
