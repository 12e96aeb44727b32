"""The kit for authors of decoders outside this tree: vxcc, vxc++, and the tutorial as it is written."""

import hashlib
import os
import re
import subprocess
import tempfile
import unittest

import harness

SDK = os.path.join(harness.ROOT, "decoders", "sdk")
COMPILERS = ["gcc", "clang-14"]

CXX = r"""
#include <algorithm>
#include <array>
#include <bit>
#include <span>
#include <string>
#include <vector>
#include <unistd.h>
#include <vx/vx.h>

VX_NOTE("output: text/plain .txt\n");

struct Shape {
  virtual ~Shape() = default;
  virtual unsigned Area() const = 0;
};
struct Square final : Shape {
  explicit Square(unsigned side) : side(side) {}
  unsigned Area() const override { return side * side; }
  unsigned side;
};

static std::vector<int> numbers = {3, 1, 2};

int main(int argc, char** argv) {
  if (argc > 1) return numbers.at(argc + 5);
  std::sort(numbers.begin(), numbers.end());
  static std::vector<int> squares(numbers);
  Shape* square = new Square(5);
  for (int& n : std::span(squares)) n *= n;
  std::string text;
  for (int n : squares) text += static_cast<char>('0' + n);
  text += square->Area() == 25 && std::popcount(7u) == 3 ? "!\n" : "?\n";
  delete square;
  for (char unused; read(0, &unused, 1) > 0;) continue;
  write(1, text.data(), text.size());
  return 0;
}
"""


class Folder:
    """The kit, unpacked in a folder of its own, whose name has a blank."""

    def __init__(self, test):
        folder = tempfile.TemporaryDirectory(prefix="vxa kit-", dir=os.environ.get("TEST_TMPDIR"))
        test.addCleanup(folder.cleanup)
        self.path = folder.name
        subprocess.run(["tar", "xf", os.path.join(SDK, "vxa-kit.tar"), "-C", self.path], check=True)
        self.kit = os.path.join(self.path, "vxa-kit")

    def run(self, command, **environment):
        """(exit status, output of both kinds) of a shell command in the folder, with the kit's programs."""
        path = f"{self.kit}/bin:/usr/bin:/bin"
        run = subprocess.run(["sh", "-ec", command], cwd=self.path, text=True, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, timeout=120, env={"PATH": path, **environment})
        return run.returncode, run.stdout

    def write(self, name, text):
        with open(os.path.join(self.path, name), "w") as file:
            file.write(text)

    def sha256(self, name):
        with open(os.path.join(self.path, name), "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()


class KitTest(harness.TestCase):
    def ok(self, folder, command, **environment):
        status, output = folder.run(command, **environment)
        self.assertEqual(status, 0, output)
        return output

    def test_the_same_programs_come_out_in_every_folder(self):
        commands = [
            "make -C vxa-kit/template -s clean decoder.vx && cp vxa-kit/template/decoder.vx template.vx",
            # Objects and a link of its own; assert() has the file's name in it.
            "cp vxa-kit/example/*.* . && (echo '#include <assert.h>'; sed 's/^int main.*/&assert(argc == 1);/' ilbm.c) > a.c"
            " && vxcc -UNDEBUG -c \"$PWD/a.c\" -o a.o && vxcc -o assert.vx a.o -lm",
            "vxcc -g -Wall -Werror -o debug.vx ilbm.c",
            "vxcc -Wall -Werror -o ilbm.vx ilbm.c -lm",
        ]
        folders = [Folder(self), Folder(self)]
        for compiler in COMPILERS:
            for command in commands:
                for folder in folders:
                    self.ok(folder, command, VXCC=compiler)
            for program in ("template.vx", "assert.vx", "debug.vx", "ilbm.vx"):
                with self.subTest(compiler=compiler, program=program):
                    self.assertEqual(folders[0].sha256(program), folders[1].sha256(program))
            folder = folders[0]
            self.ok(folder, "python3 make_sample.py")
            for program in ("ilbm.vx", "assert.vx"):
                report = self.ok(folder, f"vxrun --check {program} castle.iff castle.ppm")
                for line in ("output: as expected", "note: kit: vxa 1", "note: source: newlib 3",
                             "note: output: image/x-portable-pixmap .ppm",
                             f"note: compiler: {compiler.split('-')[0]} ", "interpreter: 2 runs",
                             "translator, exclusive: 2 runs", "translator, shared: 2 runs"):
                    self.assertIn("\n" + line, report)
                self.assertEqual("advice" in report, program == "assert.vx", report)
            self.ok(folder, "printf abc > in && vxrun template.vx < in | vxrun template.vx | cmp - in")
            self.ok(folder, "nm debug.vx | grep -q ' main$' && ! nm ilbm.vx 2>&1 | grep -q main")

    def test_the_example_refuses_every_cut(self):
        folder = Folder(self)
        self.ok(folder, "cp vxa-kit/example/*.* . && python3 make_sample.py && vxcc -o ilbm.vx ilbm.c")
        command = "for n in 0 5 12 47 48 300 2000 $(($(stat -c %s castle.iff) - 1)); do"
        self.ok(folder, command + " status=0; head -c $n castle.iff | vxrun ilbm.vx > out || status=$?;"
                " [ $status = 1 ]; done")
        self.ok(folder, "status=0; (cat castle.iff; echo) | vxrun ilbm.vx > out || status=$?; [ $status = 1 ]")

    def test_cxx(self):
        folder = Folder(self)
        folder.write("shapes.cc", CXX)
        folder.write("expected", "149!\n")
        for compiler in COMPILERS:
            self.ok(folder, "vxc++ -std=c++20 -Wall -Werror -o shapes.vx shapes.cc", VXCC=compiler)
            self.ok(folder, "vxrun --check shapes.vx shapes.cc expected")
            status, _ = folder.run("vxrun shapes.vx argument")
            self.assertEqual(status, 134)

    def test_is_a_compiler_to_build_systems(self):
        folder = Folder(self)
        folder.write("t.c", "#include <stdio.h>\nint main(void) { return 0; }\n")
        folder.write("conftest.c", "int main(void) { return no_such_function(); }\n")
        self.assertIn("stdio.h", self.ok(folder, "vxcc -M t.c"))
        self.assertIn("vxa-kit/include", self.ok(folder, "vxcc -E t.c"))
        self.ok(folder, "vxcc --version; vxcc -dumpmachine; vxcc -print-libgcc-file-name")
        self.ok(folder, "vxcc -MMD -MF t.d -c t.c -fPIC -fstack-protector-strong -D_FORTIFY_SOURCE=2 && vxcc t.o && vxrun a.out")
        self.assertNotEqual(folder.run("vxcc -Wno-implicit-function-declaration conftest.c")[0], 0)
        # The host's libraries and headers are none of a guest's.
        self.assertNotEqual(folder.run("echo '#include <linux/types.h>' | vxcc -E -")[0], 0)

    def test_notes_of_the_author(self):
        folder = Folder(self)
        folder.write("n", "source: ilbm 1.0 (Apache-2.0)\n")
        folder.write("bad", "no key\n")
        self.ok(folder, "vxcc --note n -o a.vx vxa-kit/template/main.c && strings a.vx | grep -q '^source: ilbm 1.0'")
        for option in ("--note bad", "--note nothing", "--note"):
            self.assertNotEqual(folder.run(f"vxcc vxa-kit/template/main.c {option}")[0], 0, option)

    def test_refusals_say_why(self):
        folder = Folder(self)
        folder.write("t.c", "int main(void) { return 0; }\n")
        folder.write("local.c", "__thread int x; int main(void) { return x++; }\n")
        for arguments, status, why in [("", 2, "no input files"), ("nothing.c", 1, "nothing.c"),
                                       ("-m64 t.c", 2, "32-bit"), ("-march=native t.c", 2, "i686"),
                                       ("-pthread t.c", 2, "one thread"), ("-shared t.c", 2, "static programs"),
                                       ("-fsanitize=address t.c", 2, "sanitizers"),
                                       ("local.c", 1, "guests have no thread-local storage"),
                                       ("--cc=no-such-compiler t.c", 2, "no such compiler")]:
            with self.subTest(arguments=arguments):
                got, output = folder.run("vxcc " + arguments)
                self.assertEqual(got, status, output)
                self.assertIn(why, output)

    def test_the_kit_itself(self):
        folder = Folder(self)
        listing = self.ok(folder, f"tar tvf '{os.path.join(SDK, 'vxa-kit.tar')}' --numeric-owner --utc")
        entries = [line.split(None, 5) for line in listing.splitlines()]
        self.assertEqual({(entry[1], entry[3]) for entry in entries}, {("0/0", "1970-01-01")})
        self.assertIn("not a dynamic executable", folder.run("ldd vxa-kit/bin/vxrun; true")[1].replace(
            "statically linked", "not a dynamic executable"))
        self.assertEqual(folder.run("grep -rIlE '\"(decoders/sdk|vxengine)/|@[A-Z_]+_FLAGS@' vxa-kit/bin/vxcc vxa-kit/include")[1],
                         "")
        for licence in ("LICENSE", "LICENSES/newlib", "LICENSES/gcc"):
            self.assertTrue(os.path.getsize(os.path.join(folder.kit, licence)) > 1000)

    def test_the_tutorial(self):
        with open(os.path.join(SDK, "TUTORIAL.md")) as file:
            tutorial = file.read()
        with open(os.path.join(SDK, "kit", "example", "ilbm.c")) as file:
            example = file.read()
        excerpts = re.findall(r"```c\n(.*?)```", tutorial, re.DOTALL)
        self.assertEqual(len(excerpts), 2)
        for excerpt in excerpts:
            self.assertIn(excerpt, example)
        blocks = re.findall(r"```sh\n(.*?)```", tutorial, re.DOTALL)
        self.assertGreaterEqual(len(blocks), 7)
        with tempfile.TemporaryDirectory(prefix="vxa-", dir="/tmp") as folder:  # short, for the socket's name
            os.symlink(os.path.join(SDK, "vxa-kit.tar"), os.path.join(folder, "vxa-kit.tar"))
            # A tutorial that fails must not leave its server behind.
            script = "set -e\nserver=\ntrap '[ -z \"$server\" ] || kill \"$server\" 2> /dev/null || true' EXIT\n" + "".join(blocks)
            path = ":".join([os.path.dirname(harness.VXAD), os.path.dirname(harness.VXA), "/usr/bin", "/bin"])
            run = subprocess.run(["sh", "-c", script], cwd=folder, text=True, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, timeout=600, env={**os.environ, "PATH": path})
            self.assertEqual(run.returncode, 0, run.stdout)
            self.assertIn("output: as expected\n", run.stdout)
            self.assertIn("\ngood\n", run.stdout)
            self.assertIn("\ndecoder    (not built in), ", run.stdout)
            self.assertNotIn("advice", run.stdout)


if __name__ == "__main__":
    harness.main()
