"""Counts test cases out of Bazel's build events (stdin): prints those that failed and "N passed, N failed".

usage: count_tests.py BAZEL_EXIT_STATUS < EVENTS

The events (one JSON object a line, https://bazel.build/remote/bep) name each run's test.xml. A test program
that failed without a failed case in it (it crashed, hung or did not build) counts as one failure.
"""

import json
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree


def count_cases(path):
    """(passed, names of failed) of one test.xml, JUnit's format."""
    passed, failed = 0, []
    for case in ElementTree.parse(path).iter("testcase"):
        if case.get("status") == "notrun" or case.find("skipped") is not None:
            continue
        if case.find("failure") is None and case.find("error") is None:
            passed += 1
        else:
            failed.append(".".join(filter(None, [case.get("classname"), case.get("name")])))
    return passed, failed


def main():
    bazel_status = int(sys.argv[1])
    passed, failed = 0, []
    last_attempt = {}
    for line in sys.stdin:
        event = json.loads(line)
        if "testResult" in event and "testResult" in event["id"]:
            run = event["id"]["testResult"]
            last_attempt[run["label"], run.get("shard"), run.get("run")] = event["testResult"]
    for (label, shard, _), result in sorted(last_attempt.items(), key=str):
        where = f"{label} (shard {shard})" if shard and shard > 1 else label
        run_passed, run_failed = 0, []
        for output in result.get("testActionOutput", []):
            if output["name"] == "test.xml":
                try:
                    run_passed, run_failed = count_cases(urllib.parse.unquote(output["uri"][len("file://"):]))
                except (OSError, ElementTree.ParseError) as error:
                    run_failed = [f"(its test.xml can't be read: {error})"]
        if result.get("status") != "PASSED" and not run_failed:
            run_failed = [f"({result.get('status')}, no case of it)"]
        passed += run_passed
        failed += [f"{where} {name}" for name in run_failed]
    if bazel_status != 0 and not failed:
        failed.append(f"bazel test (exit status {bazel_status}, see above)")
    if passed == 0 and not failed:
        failed.append("no test case ran")
    for name in failed:
        print("FAILED:", name)
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
