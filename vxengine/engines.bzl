"""The engines, and how a test is told which to run guests on."""

ENGINES = {
    "interpreter": ["--engine=interpreter"],
    "exclusive": [
        "--engine=translator",
        "--placement=exclusive",
    ],
    "shared": [
        "--engine=translator",
        "--placement=shared",
    ],
}

# Translated code is another when instructions are counted, and on a CPU that does otherwise than the
# ABI what manuals leave undefined.
ENGINES_AND_MODES = dict(
    ENGINES,
    contrary = ENGINES["shared"] + ["--contrary-cpu"],
    counting = ENGINES["shared"] + ["--count"],
)
