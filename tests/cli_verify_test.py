"""vxa verify, against a real server and one that takes its time."""

import json
import os
import pty
import signal
import subprocess
import threading

import harness
from command_line import DAMAGED, ERROR, NOT_FOUND, USAGE, CommandLine, ScriptedServer
from harness import Server, find, flip, noise
from vxa.v1 import vxa_pb2, vxa_pb2_grpc


class Verifying(CommandLine):
    def setUp(self):
        super().setUp()
        self.server = Server()
        self.addCleanup(self.server.__exit__)

    def hurt(self, name, content):
        """Puts an object and spoils a byte of it."""
        self.put(name, content)
        [pack] = self.server.packs()
        flip(pack, find(pack, content[1000:1100]))

    def verified(self, *arguments, **options):
        """(name, version) of those that --json tells of, and the summary."""
        *lines, last = self.json("verify", *arguments, **options)
        return [(line["object"]["name"], line["object"]["version"]) for line in lines], last["summary"]

    def test_a_sound_namespace_is_told_in_one_line(self):
        self.put("a", b"12345")
        self.put("a", b"123456")
        self.assertEqual(self.vxa("verify"),
                         (b"2 versions verified, 11 bytes reproduced, nothing damaged\n", b""))
        self.assertEqual(self.vxa("verify", "--prefix", "nothing"),
                         (b"0 versions verified, 0 bytes reproduced, nothing damaged\n", b""))

    def test_every_version_is_verified_unless_only_the_latest_are_wanted(self):
        for name, content in ("a", b"1"), ("a", b"2"), ("b/1", b"3"), ("b/2", b"4"):
            self.put(name, content)
        everything = [("a", 2), ("a", 1), ("b/1", 1), ("b/2", 1)]
        self.assertEqual(self.verified(), (everything, {"objects": 4, "damaged": 0, "bytes": 4}))
        self.assertEqual(self.verified("--latest")[0], [("a", 2), ("b/1", 1), ("b/2", 1)])
        self.assertEqual(self.verified("--prefix", "b/")[0], [("b/1", 1), ("b/2", 1)])
        self.assertEqual(self.verified("b/2", "a")[0], [("b/2", 1), ("a", 2), ("a", 1)])

    def test_verbose_tells_of_every_version(self):
        self.put("a", b"12345")
        self.assertEqual(self.vxa("verify", "--verbose")[0].splitlines()[0], b"reproduced  a  version 1  5 bytes")

    def test_damage_is_a_line_and_an_exit_status_of_its_own(self):
        self.put("sound", b"sound")
        self.hurt("hurt", noise(50_000))
        out, err = self.vxa_found(DAMAGED)
        damaged, summary = out.decode().splitlines()
        self.assertRegex(damaged, r"^damaged     hurt  version 1  .*\bpack\b")
        self.assertEqual(summary, "2 versions verified, 5 bytes reproduced, 1 damaged")
        self.assertEqual(err, b"")
        self.assertRegex(self.vxa("stat", "hurt")[0].decode(), r"(?m)^verified +\S+Z for ipv4:127\S+: damaged$")
        self.assertRegex(self.vxa("stat", "sound")[0].decode(), r"(?m)^verified +\S+Z for ipv4:127\S+: reproduced$")

    def test_programs_are_told_of_every_version_and_why(self):
        self.put("sound", b"sound")
        self.hurt("hurt", noise(50_000))
        out, _ = self.vxa_found(DAMAGED, "--json")
        hurt, sound, summary = [json.loads(line) for line in out.splitlines()]
        status = hurt["object"]["status"]
        self.assertEqual((status["code"], status["reason"]), ("DATA_LOSS", "DATA_DAMAGED"))
        self.assertIn("hurt", status["message"])
        self.assertEqual(sound["object"]["status"], {"code": "OK", "reason": "", "message": ""})
        self.assertEqual(summary["summary"], {"objects": 2, "damaged": 1, "bytes": 5})

    def vxa_found(self, status, *arguments):
        """vxa verify with an exit status that isn't an error of its own."""
        run = subprocess.run([harness.VXA, "verify", *arguments], capture_output=True, env=self.environment(),
                             timeout=60)
        self.assertEqual(run.returncode, status, run.stderr)
        return run.stdout, run.stderr

    def test_a_name_that_is_not_there_is_told_unless_there_is_damage_too(self):
        self.put("there", b"there")
        out, _ = self.vxa_found(NOT_FOUND, "missing", "there")
        self.assertRegex(out, rb"^not there   missing  .*\n1 version verified, .*, nothing damaged, 1 name not there\n$")
        self.hurt("hurt", noise(50_000))
        self.vxa_found(DAMAGED, "missing", "hurt")
        self.vxa("verify", "--namespace", "nowhere", status=NOT_FOUND)

    def test_more_names_than_one_request_takes_are_verified(self):
        self.put("a", b"1")
        self.assertEqual(self.verified(*["a"] * 1001)[1], {"objects": 1001, "damaged": 0, "bytes": 1001})

    def test_odd_names_are_one_safe_line(self):
        self.put("odd/\u202egnp.exe", b"x")
        self.assertIn(rb"odd/\xe2\x80\xaegnp.exe", self.vxa("verify", "--verbose")[0])
        err = self.vxa("verify", "a\n\x1b[2J", status=ERROR)[1]
        self.assertEqual(len(err.splitlines()), 1, err)
        self.assertNotIn(b"\x1b", err)

    def test_a_standard_output_that_takes_nothing_is_an_error(self):
        self.put("a", b"1")
        for options in [], ["--verbose"], ["--json"]:
            for output, why in ("/dev/full", b"No space left"), ("&-", b"Bad file descriptor"):
                with self.subTest(options=options, output=output):
                    self.assertIn(why, self.vxa_with_output(output, "verify", *options, status=ERROR))

    def test_wrong_command_lines_end_with_one_line_and_status_2(self):
        for arguments in [["a", "--prefix", "b"], ["--bogus"], [b"\xff"], ["--prefix", b"\xff"], ["--prefix"]]:
            with self.subTest(arguments=arguments):
                out, err = self.vxa("verify", *arguments, status=USAGE)
                self.assertEqual((out, len(err.splitlines())), (b"", 1), err)
        self.assertIn(b"--latest", self.vxa("verify", "--help")[0])


class Endless(vxa_pb2_grpc.ArchiveServicer):
    """Has verified "first", and is never done with "second"."""

    def __init__(self):
        self.cancelled = threading.Event()

    def VerifyObjects(self, request, context):
        context.add_callback(self.cancelled.set)
        yield vxa_pb2.VerifyObjectsResponse(object=vxa_pb2.VerifiedObject(name="first", version=1, size=5))
        read = 0
        while not self.cancelled.wait(0.02):
            read += 1 << 20
            yield vxa_pb2.VerifyObjectsResponse(
                progress=vxa_pb2.VerifyProgress(name="second\x1b[2J", version=1, bytes=read))


class Interrupted(CommandLine):
    def start(self, server, **options):
        return subprocess.Popen([harness.VXA, "--server", server.address, "verify", "--verbose"], **options)

    def test_it_ends_at_once_and_has_told_what_it_knew(self):
        endless = Endless()
        with ScriptedServer(endless) as server:
            run = self.start(server, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.assertEqual(run.stdout.readline(), b"reproduced  first  version 1  5 bytes\n")
            run.send_signal(signal.SIGINT)
            self.assertEqual(run.communicate(timeout=60), (b"", b""))
            self.assertEqual(run.returncode, -signal.SIGINT)
            self.assertTrue(endless.cancelled.wait(60))

    def test_a_terminal_shows_how_far_it_is(self):
        with ScriptedServer(Endless()) as server:
            terminal, stderr = pty.openpty()
            run = self.start(server, stdout=subprocess.DEVNULL, stderr=stderr)
            os.close(stderr)
            shown = b""
            while b"/s" not in shown:
                shown += os.read(terminal, 1000)
            run.terminate()
            run.wait(timeout=60)
            os.close(terminal)
        self.assertIn(rb"1  second\x1b[2J  ", shown)

    def test_a_server_that_goes_away_is_no_sound_archive(self):
        class Breaking(vxa_pb2_grpc.ArchiveServicer):
            def VerifyObjects(self, request, context):
                yield vxa_pb2.VerifyObjectsResponse(object=vxa_pb2.VerifiedObject(name="first", version=1))

        with ScriptedServer(Breaking()) as server:
            out, err = self.vxa("--server", server.address, "verify", status=DAMAGED)
        self.assertEqual(out, b"")
        self.assertIn(b"summary", err)


if __name__ == "__main__":
    harness.main()
