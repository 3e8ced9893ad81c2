"""A table as one HTML page that shows where its figures come from (``<tables>/<collection>.html``)."""
