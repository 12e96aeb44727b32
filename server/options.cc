#include "server/options.h"

#include <CLI/CLI.hpp>
#include <sstream>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace vxa {
namespace {

constexpr char kVersion[] = "vxad 0.1 (vxa.v1)";
constexpr char kAbout[] = "Serves a VXA archive: objects kept together with their decoders.";
constexpr char kFooter[] =
    "Prints \"listening on ADDRESS\" once it serves, and a log on stderr. SIGTERM or SIGINT ends "
    "it:\n"
    "no new call is taken, and those going on have the grace time; a second signal cancels them.\n"
    "Exit status: 0 ended by a signal, 1 an error, 2 a wrong command line.";
constexpr int kUsage = 2;

// CLI11's own texts may have several lines.
std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

absl::Status BadAddress(const std::string& address, const char* why) {
  return absl::InvalidArgumentError(
      absl::StrCat("--listen ", address, ": ", why, "; HOST:PORT, [V6]:PORT or unix:PATH"));
}

}  // namespace

absl::Status CheckAddress(const std::string& address) {
  constexpr size_t kMaxUnixPath = 107;  // unix(7): 108 bytes with the NUL
  if (address.rfind("unix:", 0) == 0) {
    const size_t length = address.size() - 5;
    if (length == 0) return BadAddress(address, "no path");
    if (length > kMaxUnixPath) return BadAddress(address, "a path has at most 107 bytes");
    return absl::OkStatus();
  }
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) return BadAddress(address, "no host or no port");
  const std::string host = address.substr(0, colon), port = address.substr(colon + 1);
  const bool bracketed = host.front() == '[' && host.back() == ']';
  if (!bracketed && host.find_first_of("[]:/ ") != std::string::npos) {
    return BadAddress(address, "that is no host");
  }
  uint32_t number = 0;
  const bool digits = !port.empty() && port.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || !absl::SimpleAtoi(port, &number) || number > 65535) {
    return BadAddress(address, "a port is a number from 0 to 65535");
  }
  return absl::OkStatus();
}

bool ParseOptions(int argc, const char* const* argv, ServerOptions* options, Exit* exit) {
  CLI::App app(kAbout, "vxad");
  double grace = absl::ToDoubleSeconds(options->grace);
  app.footer(kFooter);
  app.set_version_flag("--version", kVersion);
  app.add_option("--data", options->data, "the archive's directory; made if it isn't there")
      ->required()
      ->type_name("DIR");
  app.add_option("--listen", options->listen,
                 "where to serve: HOST:PORT (port 0: any free one), [V6]:PORT or unix:PATH")
      ->type_name("ADDRESS")
      ->capture_default_str();
  app.add_option("--worker", options->worker,
                 "the vxworker program that runs decoders; found beside vxad if not given")
      ->type_name("PATH");
  app.add_option("--grace", grace, "seconds that calls have to end after SIGTERM")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  app.add_option("--max-streams", options->max_streams, "uploads and downloads at once")
      ->type_name("N")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--decodes", options->decodes, "decoders running at once; further ones wait")
      ->type_name("N")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option(
         "--pack-size", options->pack_size,
         "bytes after which a new pack file is begun, at least 16M; K, M, G or T may follow")
      ->type_name("BYTES")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::Range(uint64_t{16} << 20, uint64_t{1} << 62))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    std::ostringstream out;
    app.exit(success, out, out);
    *exit = {0, out.str()};
    return false;
  } catch (const CLI::Error& error) {
    *exit = {kUsage, absl::StrCat("vxad: ", FirstLine(error.what()), " (see vxad --help)\n")};
    return false;
  }
  options->grace = absl::Seconds(grace);
  if (absl::Status status = CheckAddress(options->listen); !status.ok()) {
    *exit = {kUsage, absl::StrCat("vxad: ", status.message(), "\n")};
    return false;
  }
  return true;
}

}  // namespace vxa
