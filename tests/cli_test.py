"""The vxa command line against a real server."""

import gzip
import json
import os
import pty
import signal
import stat
import subprocess
import threading

import crc32c

import harness
from command_line import DAMAGED, ERROR, NOT_FOUND, PRECONDITION, UNAVAILABLE, USAGE, CommandLine, ScriptedServer
from harness import noise, text
from vxa.v1 import vxa_pb2, vxa_pb2_grpc


class PutAndGet(CommandLine):
    def test_a_file_comes_back(self):
        data = text(300_000)
        self.write("notes/a.txt", data)
        out, err = self.vxa("put", "notes/a.txt")
        self.assertIn(b"notes/a.txt  version 1  300,000", out)
        self.assertIn(b"proved with zstd:", out)
        self.assertEqual(err, b"")
        out, err = self.vxa("get", "notes/a.txt", "--verbose")
        self.assertEqual((self.read("a.txt"), out), (data, b""))
        self.assertIn(b"came through archived decoder zstd:", err)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("a.txt")).st_mode) & 0o600, 0o600)

    def test_the_name_is_the_cleaned_path(self):
        self.write("in/x", b"in/x")
        os.mkdir(self.path("other"))
        for path in ["./in//x", "other/../in/x", self.path("in/x")]:
            [result] = self.json("put", path)
            self.assertTrue(self.path("in/x").lstrip("/").endswith(result["object"]["name"]))
            self.assertFalse(result["object"]["name"].startswith("/"))
        self.assertEqual(self.json("stat", "in/x")[0]["size"], 4)

    def test_standard_input_needs_a_name(self):
        self.vxa("put", "-", status=USAGE, stdin=b"x")
        self.assertEqual(self.put("from/stdin", b"stdin")["object"]["size"], 5)
        self.assertEqual(self.vxa("cat", "from/stdin")[0], b"stdin")

    def test_the_codec_can_be_chosen(self):
        self.write("codec", text(10_000))
        self.assertEqual(self.json("put", "codec", "codec/store", "--codec", "store")[0]["object"]["codec"], "store")
        self.assertEqual(self.json("put", "codec", "codec/bzip2", "--codec", "bzip2")[0]["object"]["codec"], "bzip2")
        self.assertEqual(self.vxa("cat", "codec/bzip2")[0], text(10_000))
        self.assertIn(b"lzw", self.vxa("put", "codec", "--codec", "lzw", status=NOT_FOUND)[1])

    def test_if_absent_keeps_what_is_there(self):
        self.write("absent", b"1")
        self.vxa("put", "absent", "--if-absent")
        self.write("absent", b"2")
        self.vxa("put", "absent", "--if-absent", status=PRECONDITION)
        self.assertEqual(self.vxa("cat", "absent")[0], b"1")

    def test_what_is_no_file_cannot_be_put(self):
        os.mkdir(self.path("folder"))
        self.assertIn(b"directory", self.vxa("put", "folder", status=ERROR)[1])
        self.vxa("put", "missing", status=NOT_FOUND)
        with open(self.path(b"\xff".decode(errors="surrogateescape")), "wb"):
            pass
        self.assertIn(b"UTF-8", self.vxa("put", b"\xff", status=ERROR)[1])
        self.vxa("put", b"\xff", "named")
        self.assertEqual(self.json("stat", "named")[0]["source"]["path"], "\\xff")

    def test_a_file_in_the_way_stays_unless_forced(self):
        self.put("way", b"object")
        self.write("way", b"file")
        self.assertIn(b"--force", self.vxa("get", "way", status=PRECONDITION)[1])
        self.assertEqual(self.read("way"), b"file")
        self.vxa("get", "way", "--force")
        self.assertEqual(self.read("way"), b"object")
        self.assertEqual(os.listdir(self.folder), ["way"])

    def test_the_output_is_a_file_a_folder_or_standard_output(self):
        self.put("a/name", b"content")
        os.mkdir(self.path("folder"))
        self.vxa("get", "a/name", "-o", "folder")
        self.assertEqual(self.read("folder/name"), b"content")
        self.vxa("get", "a/name", "-o", "folder/other")
        self.assertEqual(self.read("folder/other"), b"content")
        self.assertEqual(self.vxa("get", "a/name", "-o", "-")[0], b"content")
        self.vxa("get", "a/name", "-o", "no/such/folder", status=NOT_FOUND)

    def test_a_device_is_written_to_and_not_replaced(self):
        self.put("device", b"content")
        self.vxa("get", "device", "-o", "/dev/null", "--force")
        self.assertTrue(stat.S_ISCHR(os.stat("/dev/null").st_mode))
        self.vxa("get", "device", "-o", "/dev/full", status=ERROR)

    def test_a_standard_output_that_takes_nothing_is_an_error(self):
        self.put("full", noise(100_000))
        for command in ["cat", "full"], ["stat", "full"], ["ls"], ["ls", "-l"], ["rm", "full"]:
            for output, why in ("/dev/full", b"No space left"), ("&-", b"Bad file descriptor"):
                with self.subTest(command=command, output=output):
                    self.put("full", noise(100_000))
                    self.assertIn(why, self.vxa_with_output(output, *command, status=ERROR))

    def test_a_closed_standard_output_does_not_become_the_file(self):
        self.put("closed", b"content")
        self.vxa_with_output("&-", "--json", "get", "closed", status=ERROR)
        self.assertEqual(self.read("closed"), b"content")

    def test_what_is_said_of_an_object_is_kept(self):
        self.write("said", b"1")
        [result] = self.json("put", "said", "--media-type", "text/x-said", "--metadata", "b=2=3", "--metadata", "a=",
                             "--metadata=c=", "--if-version", "0", "--request-id", "only once")
        self.assertEqual(result["object"]["media_type"], "text/x-said")
        self.assertEqual(result["object"]["metadata"], {"a": "", "b": "2=3", "c": ""})
        self.assertTrue(self.json("put", "said", "--request-id", "only once")[0]["unchanged"])
        self.write("said", b"2")
        self.vxa("put", "said", "--if-version", "2", status=PRECONDITION)
        self.vxa("put", "said", "--if-version", "1")
        self.assertEqual(self.vxa("cat", "said")[0], b"2")

    def test_an_unknown_name_leaves_no_file(self):
        for command in "get", "view", "cat", "stat", "rm":
            self.assertIn(b"not/there", self.vxa(command, "not/there", status=NOT_FOUND)[1])
        self.assertEqual(os.listdir(self.folder), [])

    def test_versions_and_the_stored_form_can_be_had(self):
        self.put("versions", b"one")
        self.put("versions", b"two")
        self.assertEqual(self.vxa("cat", "versions", "--version", "1")[0], b"one")
        self.vxa("get", "versions", "--version", "3", status=NOT_FOUND)
        self.assertEqual(self.vxa("get", "versions", "--stored", "-o", "-")[0], b"two")

    def test_an_interrupted_get_leaves_nothing(self):
        for number in signal.SIGINT, signal.SIGTERM:
            with ScriptedServer(Stalling()) as server:
                run = subprocess.Popen([harness.VXA, "--server", server.address, "get", "stalling"], cwd=self.folder)
                self.assertTrue(harness.wait_until(lambda: os.listdir(self.folder)))
                self.assertNotIn("stalling", os.listdir(self.folder))
                run.send_signal(number)
                self.assertEqual(run.wait(timeout=60), -number)
            self.assertEqual(os.listdir(self.folder), [])


class Stalling(vxa_pb2_grpc.ArchiveServicer):
    """Gives half of an object, and nothing more until the client has gone."""

    def ReadObject(self, request, context):
        gone = threading.Event()
        context.add_callback(gone.set)
        data = noise(1000)
        yield vxa_pb2.ReadObjectResponse(metadata=vxa_pb2.ReadObjectMetadata(size=2000))
        yield vxa_pb2.ReadObjectResponse(data=vxa_pb2.ReadObjectData(data=data, crc32c=crc32c.crc32c(data)))
        gone.wait()


class Damage(CommandLine):
    def test_damage_is_told_and_leaves_no_file(self):
        data = noise(10_000_000)
        self.put("hurt", data)
        [pack] = self.server.packs()
        with open(pack, "r+b") as file:
            at = file.read().index(data[9_000_000:9_000_100])
            file.seek(at)
            file.write(bytes([data[9_000_000] ^ 1]))
        self.assertIn(b"hurt", self.vxa("get", "hurt", status=DAMAGED)[1])
        self.assertEqual(os.listdir(self.folder), [])
        self.vxa("cat", "hurt", status=DAMAGED)
        error = json.loads(self.vxa("--json", "get", "hurt", status=DAMAGED)[1])["error"]
        self.assertEqual((error["code"], error["reason"]), ("DATA_LOSS", "DATA_DAMAGED"))


class Views(CommandLine):
    def test_a_view_gets_the_right_name(self):
        plain = text(10_000)
        self.put("deep/notes.txt.gz", gzip.compress(plain))
        self.vxa("view", "deep/notes.txt.gz")
        self.assertEqual(self.read("notes.txt"), plain)
        self.vxa("view", "deep/notes.txt.gz", "-o", "other")
        self.assertEqual(self.read("other"), plain)
        self.vxa("view", "deep/notes.txt.gz", status=PRECONDITION)

    def test_an_object_without_a_view_or_with_a_broken_one_says_so(self):
        self.put("plain", b"plain")
        self.vxa("view", "plain", status=NOT_FOUND)
        self.put("broken.gz", gzip.compress(text(50_000))[:-3])
        self.vxa("view", "broken.gz", status=PRECONDITION)
        self.assertIn(b"decoded (failed)", self.vxa("ls", "-l", "broken")[0])
        self.assertEqual(os.listdir(self.folder), [])


class Names(CommandLine):
    def test_ls_lists_by_prefix_and_versions(self):
        for name in "ls/b", "ls/a", "ls/c":
            self.put(name, name.encode())
        self.put("ls/a", b"second")
        self.assertEqual(self.vxa("ls", "ls/")[0], b"ls/a\nls/b\nls/c\n")
        self.vxa("rm", "ls/b")
        self.assertEqual(self.vxa("ls", "ls/")[0], b"ls/a\nls/c\n")
        self.assertEqual([(entry["name"], entry["version"], entry["delete_marker"])
                          for entry in self.json("ls", "ls/", "--versions")],
                         [("ls/a", 2, False), ("ls/a", 1, False), ("ls/b", 2, True), ("ls/b", 1, False),
                          ("ls/c", 1, False)])
        self.assertEqual(self.vxa("ls", "nothing/here"), (b"", b""))

    def test_ls_l_shows_sizes_codec_decoder_and_view(self):
        self.put("long/a.gz", gzip.compress(text(10_000)))
        self.put("long/b", text(10_000))
        heading, first, second = self.vxa("ls", "-l", "long/")[0].decode().splitlines()
        self.assertEqual(heading.split(), "SIZE STORED RATIO CODEC DECODERS VERSION CREATED VIEWS NAME".split())
        self.assertRegex(first, r"100\.0%  store +zlib:[0-9a-f]{8} +1  \S+Z  decoded  long/a.gz$")
        self.assertRegex(second, r"10,000 .*%  zstd +zstd:[0-9a-f]{8} +1  \S+Z  - +long/b$")

    def test_stat_tells_everything(self):
        data = text(20_000)
        self.write("stat.txt", data)
        self.vxa("put", "stat.txt")
        out = self.vxa("stat", "stat.txt")[0].decode()
        for word in ["20,000 bytes", harness.hashlib.sha256(data).hexdigest(), "codec zstd", "zstd, ", "mode 0"]:
            self.assertIn(word, out)
        [entry] = self.json("stat", "stat.txt")
        self.assertEqual(entry["digest"], "sha256:" + harness.hashlib.sha256(data).hexdigest())

    def test_rm_hides_a_name_or_removes_a_version(self):
        self.put("rm", b"1")
        self.put("rm", b"2")
        self.assertEqual(self.json("rm", "rm", "--version", "2"), [{"version": 2}])
        self.assertEqual(self.vxa("cat", "rm")[0], b"1")
        self.vxa("rm", "rm")
        self.vxa("cat", "rm", status=NOT_FOUND)

    def test_odd_names_are_escaped_on_a_terminal_only(self):
        name = "odd/\u202egnp.exe"
        self.put(name, b"x")
        self.assertEqual(self.vxa("ls", "odd/")[0].decode(), name + "\n")
        main, terminal = pty.openpty()
        subprocess.run([harness.VXA, "ls", "odd/"], stdout=terminal, env=self.environment(), timeout=60, check=True)
        os.close(terminal)
        shown = os.read(main, 1000)
        os.close(main)
        self.assertEqual(shown.strip(), rb"odd/\xe2\x80\xaegnp.exe")


class Usage(CommandLine):
    def test_wrong_command_lines_end_with_one_line_and_status_2(self):
        for arguments in [[], ["frobnicate"], ["get"], ["put"], ["get", "x", "--bogus"], ["get", "x", "--version", "y"],
                          ["cat", "x", "--version", "-1"], ["rm", "x", "--version", "010"],
                          ["ls", "a", "b"]]:
            with self.subTest(arguments=arguments):
                out, err = self.vxa(*arguments, status=USAGE)
                self.assertEqual((out, len(err.splitlines())), (b"", 1), err)
        self.assertIn(b"frobnicate", self.vxa("frobnicate", status=USAGE)[1])

    def test_options_of_put_that_make_no_sense_are_refused(self):
        self.write("x", b"x")
        for options in [["--metadata", "key"], ["--metadata", "=value"], ["--metadata", "a=1", "--metadata", "a=2"],
                        ["--metadata", b"a=\xff"], ["--if-version", "-1"], ["--if-version", "new"],
                        ["--media-type", b"\xff"], ["--request-id", b"\xff"], [b"\xff"]]:
            with self.subTest(options=options):
                err = self.vxa("put", "x", *options, status=USAGE)[1]
                self.assertEqual(len(err.splitlines()), 1, err)
        self.vxa("stat", "x", status=NOT_FOUND)

    def test_help_and_version_are_no_errors(self):
        self.assertIn(b"Exit status", self.vxa("--help")[0])
        self.assertIn(b"--if-absent", self.vxa("put", "--help")[0])
        self.assertIn(b"vxa", self.vxa("--version")[0])

    def test_without_a_server_it_says_where_it_looked_and_how_to_start_one(self):
        err = self.vxa("--server", "127.0.0.1:1", "ls", status=UNAVAILABLE)[1]
        self.assertIn(b"127.0.0.1:1", err)
        self.assertIn(b"vxad --data", err)

    def test_options_of_the_program_may_follow_the_command(self):
        self.put("after", b"x")
        self.assertEqual(json.loads(self.vxa("stat", "after", "--json")[0])["name"], "after")
        self.vxa("stat", "after", "--namespace", "nowhere", status=NOT_FOUND)


if __name__ == "__main__":
    harness.main()
