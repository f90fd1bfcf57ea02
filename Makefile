# One command for all checks: `make check`. The same runs in pre-commit and in .ci/run.
.PHONY: check format lint types test

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
