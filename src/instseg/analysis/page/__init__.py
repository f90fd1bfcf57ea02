"""The report as one self-contained HTML file: template, style and script, and what fills them."""
