"""Runs unittest modules under Bazel: cases, failures and skips go to the report that Bazel names."""
import os
import sys
import time
import unittest
import xml.etree.ElementTree as ElementTree


class _Result(unittest.TextTestResult):
    def __init__(self, *args):
        super().__init__(*args)
        self.cases = {}

    def startTest(self, test):
        super().startTest(test)
        self.cases[test.id()] = {"started": time.monotonic(), "outcome": None, "detail": ""}

    def _note(self, test, outcome, detail):
        case = self.cases.setdefault(test.id(), {"started": time.monotonic(), "outcome": None, "detail": ""})
        if case["outcome"] != "failure":
            case.update(outcome=outcome, detail=detail)

    def stopTest(self, test):
        super().stopTest(test)
        self.cases[test.id()]["seconds"] = time.monotonic() - self.cases[test.id()]["started"]

    def addError(self, test, err):
        super().addError(test, err)
        self._note(test, "failure", self._exc_info_to_string(err, test))

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._note(test, "failure", self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._note(test, "skipped", reason)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._note(test, "failure", self._exc_info_to_string(err, subtest))


def _report(result, path):
    suite = ElementTree.Element("testsuite", name="e2e", tests=str(len(result.cases)))
    for name, case in result.cases.items():
        element = ElementTree.SubElement(suite, "testcase", name=name, time=f"{case.get('seconds', 0):.3f}")
        if case["outcome"]:
            ElementTree.SubElement(element, case["outcome"], message=case["detail"].strip().splitlines()[-1][:300] if case["detail"] else "").text = case["detail"]
    ElementTree.ElementTree(suite).write(path)


def main(modules):
    suite = unittest.TestSuite(unittest.defaultTestLoader.loadTestsFromName(m) for m in modules)
    wanted = os.environ.get("TESTBRIDGE_TEST_ONLY")  # bazel test --test_filter=
    if wanted:
        suite = unittest.TestSuite(t for group in suite for cls in group for t in cls if wanted in t.id())
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=_Result).run(suite)
    if "XML_OUTPUT_FILE" in os.environ:
        _report(result, os.environ["XML_OUTPUT_FILE"])
    sys.exit(0 if result.wasSuccessful() and result.cases else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
