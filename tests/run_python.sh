#!/bin/sh
# Runs a Python test by Debian's own Python, whose packages the tests use, whatever else is in the PATH.
exec /usr/bin/python3 -B "$@"
