# Every target is one line, so that it can be typed where make is missing.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: book test hard check study bench export clean
book: .venv/ready  ## the published book; its status page says what each chapter took
	$(BIN)/expresso book --params demo
test: .venv/ready  ## every test, the quick profile of the whole book included; two at a time
	$(BIN)/python -m pytest -n 2 --dist loadfile
hard: .venv/ready  ## the same with every chapter of a closed book, and a book on real clips
	EXPRESSO_HARD=1 EXPRESSO_REAL_BOOK=1 $(BIN)/python -m pytest -n 2 --dist loadfile
check: .venv/ready  ## style, layout, types, layers, spelling, notebooks without outputs
	$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy && $(BIN)/lint-imports && $(BIN)/codespell && $(BIN)/nbstripout --verify --keep-id notebooks/*.ipynb
study: .venv/ready  ## the whole grid, every seed and variant; hours, resumable
	$(BIN)/expresso study
bench: .venv/ready  ## the goals of the book's benchmark page; GOAL=4 for one, QUICK=1 for a minute
	$(BIN)/python -m benchmarks $(if $(GOAL),--goal $(GOAL)) $(if $(QUICK),--quick)
export: .venv/ready  ## one zip that opens by double click
	$(BIN)/expresso export --params demo
clean:  ## everything a run made
	rm -rf build
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet --upgrade pip && $(BIN)/python -m pip install --quiet -c constraints.txt -e '.[all]' && touch $@
