"""What every page and picture is made with: boxes drawn on pictures, curves as SVG, HTML. No torch here."""
