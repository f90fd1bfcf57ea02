# One command for all checks: `make check`. The same runs in pre-commit and in .ci/run.
.PHONY: check format lint types test docs

check: lint types test

format:
	ruff format .
	ruff check --fix .

lint:
	ruff format --check .
	ruff check .

types:
	mypy

test:
	pytest

# The documentation as a site, in build/site; needs pip install -e ".[docs]". With every link checked.
docs:
	NO_MKDOCS_2_WARNING=1 mkdocs build --quiet --strict --config-file docs/site/mkdocs.yml
