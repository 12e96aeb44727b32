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

# Translated code is another when instructions are counted.
ENGINES_AND_COUNTING = dict(
    ENGINES,
    counting = ENGINES["shared"] + ["--count"],
)
