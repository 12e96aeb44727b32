#include "server/options.h"

#include <CLI/CLI.hpp>
#include <map>
#include <sstream>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace vxa {
namespace {

constexpr char kAbout[] = "Serves a VXA archive: objects kept together with their decoders.";
constexpr char kFooter[] =
    "Without a command it serves: prints \"listening on ADDRESS\" once it does, and a log on "
    "stderr.\n"
    "SIGTERM or SIGINT ends it: no new call is taken, and those going on have the grace time; a\n"
    "second signal cancels them. The commands are for an archive that no server has open.\n"
    "Exit status: 0 ended by a signal, or done; 1 an error; 2 a wrong command line; 4 damage "
    "found\n"
    "(fsck and rebuild-index).";
constexpr char kFsck[] =
    "Checks the archive, changes nothing, and tells what is wrong, whom it hurts, and what to do";
constexpr char kFsckFooter[] =
    "Reads all packs twice. Needs room for two copies of the archive's index in $TMPDIR or, if "
    "that\n"
    "is not set, beside DIR. Exit status: 0 no damage, 1 an error kept it from checking, 2 a "
    "wrong\n"
    "command line, 4 damage found.";
constexpr char kRebuildIndex[] =
    "Makes the index anew from the packs, and tells what the old one knew that they don't give";
constexpr char kRebuildIndexFooter[] =
    "The old index is there until the new one is whole; to interrupt it does no harm.\n"
    "Exit status: 0 done, 1 an error, 2 a wrong command line, 4 done, and damage found.";
constexpr char kDecoder[] = "Rules on a decoder, for all namespaces";
constexpr char kDecoderFooter[] =
    "approve: it may be used where nobody named it; unapprove takes that back. disable: it is not\n"
    "used for new objects (those that need it stay readable); enable takes that back.\n"
    "Exit status: 0 done, 1 an error, 2 a wrong command line.";
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

namespace {

// The command line as CLI11 knows it, and what it puts where.
class Parser {
 public:
  Parser() : app_(kAbout, "vxad") {
    app_.set_version_flag("--version", kVersion);
    app_.footer(kFooter);
    app_.require_subcommand(0, 1);
    AddServing();
    AddFsck();
    AddRebuildIndex();
    AddDecoder();
  }

  bool Parse(int argc, const char* const* argv, Command* command, Exit* exit);

 private:
  void AddServing();
  void AddDecodeLimits();
  void AddFsck();
  void AddRebuildIndex();
  void AddDecoder();
  absl::Status Take(Command* command);

  CLI::App app_;
  CLI::App* fsck_command_ = nullptr;
  CLI::App* rebuild_command_ = nullptr;
  CLI::App* decoder_command_ = nullptr;
  ServerOptions serving_;
  // Seconds.
  double grace_ = absl::ToDoubleSeconds(serving_.grace);
  double cpu_time_ = absl::ToDoubleSeconds(serving_.decodes.cpu_time);
  double stalled_ = absl::ToDoubleSeconds(serving_.decodes.stalled);
  FsckOptions fsck_;
  RebuildIndexOptions rebuild_;
  RulingOptions decoder_;
  std::string ruling_;
};

const std::map<std::string, RulingOptions::Ruling>& Rulings() {
  static const auto* rulings = new std::map<std::string, RulingOptions::Ruling>{
      {"approve", RulingOptions::Ruling::kApprove},
      {"unapprove", RulingOptions::Ruling::kUnapprove},
      {"disable", RulingOptions::Ruling::kDisable},
      {"enable", RulingOptions::Ruling::kEnable},
  };
  return *rulings;
}

void AddData(CLI::App& command, std::string& data) {
  command.add_option("--data", data, "the archive's directory")->type_name("DIR");
}

void AddWorker(CLI::App& command, std::string& worker) {
  command
      .add_option("--worker", worker,
                  "the vxworker program that runs decoders; found beside vxad if not given")
      ->type_name("PATH");
}

void Parser::AddServing() {
  app_.add_option("--data", serving_.data, "the archive's directory; made if it isn't there")
      ->type_name("DIR");
  app_.add_option("--listen", serving_.listen,
                  "where to serve: HOST:PORT (port 0: any free one), [V6]:PORT or unix:PATH")
      ->type_name("ADDRESS")
      ->capture_default_str();
  AddWorker(app_, serving_.worker);
  app_.add_flag(
      "--require-jail", serving_.require_jail,
      "don't serve unless the system grants every layer of the jail that decoders run in");
  app_.add_option("--grace", grace_, "seconds that calls have to end after SIGTERM")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  app_.add_option("--max-streams", serving_.max_streams, "uploads and downloads at once")
      ->type_name("N")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app_.add_option("--client-streams", serving_.client_streams,
                  "of these, those of one client (an address); 0: three quarters")
      ->type_name("N")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  AddDecodeLimits();
  app_.add_option(
          "--pack-size", serving_.pack_size,
          "bytes after which a new pack file is begun, at least 16M; K, M, G or T may follow")
      ->type_name("BYTES")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::Range(uint64_t{16} << 20, uint64_t{1} << 62))
      ->capture_default_str();
}

void Parser::AddDecodeLimits() {
  DecodeLimits& limits = serving_.decodes;
  const auto add_count = [this](const char* name, int& value, const char* about) {
    app_.add_option(name, value, about)
        ->type_name("N")
        ->check(CLI::Range(1, 1024))
        ->capture_default_str();
  };
  const auto add_size = [this](const char* name, uint64_t& value, uint64_t least, uint64_t most,
                               const char* about) {
    app_.add_option(name, value, about)
        ->type_name("BYTES")
        ->transform(CLI::AsSizeValue(false))
        ->check(CLI::Range(least, most))
        ->capture_default_str();
  };
  const auto add_seconds = [this](const char* name, double& value, const char* about) {
    app_.add_option(name, value, about)
        ->type_name("SECONDS")
        ->check(CLI::Range(1.0, 1e6))
        ->capture_default_str();
  };
  add_count("--decodes", limits.concurrent,
            "decoders running at once; further ones wait, and clients take turns");
  add_count("--decode-queue", limits.queue, "decodes that may wait for their first turn");
  add_size("--decode-memory", limits.memory, uint64_t{64} << 20, uint64_t{4} << 30,
           "memory of one decoder, at least 64M; an object keeps what it was proved with");
  add_size("--decode-output", limits.output, 1, uint64_t{1} << 62,
           "output of one decoder where the size isn't known yet");
  add_size("--decode-diagnostics", limits.diagnostics, 0, uint64_t{64} << 10,
           "kept of what a decoder writes to descriptor 2, at most 64K");
  add_seconds("--decode-cpu", cpu_time_,
              "CPU time of one decoder that wasn't proved yet; else its proof says");
  add_seconds("--decode-stall", stalled_,
              "time without input or output, waiting for clients excluded");
}

void Parser::AddFsck() {
  fsck_command_ = app_.add_subcommand("fsck", kFsck);
  fsck_command_->footer(kFsckFooter);
  AddData(*fsck_command_, fsck_.data);
  fsck_command_->add_flag("--decode", fsck_.decode,
                          "also reproduce every version and view through its decoders");
  fsck_command_->add_flag("--json", fsck_.json,
                          "a JSON object for each finding, a line each, and one for the summary");
  AddWorker(*fsck_command_, fsck_.worker);
}

void Parser::AddRebuildIndex() {
  rebuild_command_ = app_.add_subcommand("rebuild-index", kRebuildIndex);
  rebuild_command_->footer(kRebuildIndexFooter);
  AddData(*rebuild_command_, rebuild_.data);
}

void Parser::AddDecoder() {
  decoder_command_ = app_.add_subcommand("decoder", kDecoder);
  decoder_command_->footer(kDecoderFooter);
  AddData(*decoder_command_, decoder_.data);
  decoder_command_->add_option("ruling", ruling_, "approve, unapprove, disable or enable")
      ->required()
      ->type_name("RULING")
      ->check(CLI::IsMember(Rulings()).description(""));
  decoder_command_
      ->add_option("id", decoder_.id,
                   "the decoder: sha256: and 64 hexadecimal digits, or the first 8 or more of them")
      ->required()
      ->type_name("ID");
  decoder_command_->add_option("--reason", decoder_.reason, "why, to be shown to users")
      ->type_name("TEXT");
  AddWorker(*decoder_command_, decoder_.worker);
}

bool Parser::Parse(int argc, const char* const* argv, Command* command, Exit* exit) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::Success& success) {
    std::ostringstream out;
    app_.exit(success, out, out);
    *exit = {0, out.str()};
    return false;
  } catch (const CLI::Error& error) {
    *exit = {kUsage, absl::StrCat("vxad: ", FirstLine(error.what()), " (see vxad --help)\n")};
    return false;
  }
  if (absl::Status taken = Take(command); !taken.ok()) {
    *exit = {kUsage, absl::StrCat("vxad: ", taken.message(), "\n")};
    return false;
  }
  return true;
}

// The command with its options, checked as far as CLI11 doesn't.
absl::Status Parser::Take(Command* command) {
  std::string* data = &serving_.data;
  if (*fsck_command_) data = &fsck_.data;
  if (*rebuild_command_) data = &rebuild_.data;
  if (*decoder_command_) data = &decoder_.data;
  if (data->empty()) *data = serving_.data;  // given before the command
  if (data->empty()) return absl::InvalidArgumentError("--data is required (see vxad --help)");
  if (data != &serving_.data) {
    for (const CLI::Option* option : app_.get_options()) {
      if (option->count() == 0 || option->get_name() == "--data") continue;
      return absl::InvalidArgumentError(
          absl::StrCat(option->get_name(), " is for serving (see vxad --help)"));
    }
  }
  if (*fsck_command_) {
    *command = fsck_;
  } else if (*rebuild_command_) {
    *command = rebuild_;
  } else if (*decoder_command_) {
    decoder_.ruling = Rulings().at(ruling_);
    *command = decoder_;
  } else {
    serving_.grace = absl::Seconds(grace_);
    serving_.decodes.cpu_time = absl::Seconds(cpu_time_);
    serving_.decodes.stalled = absl::Seconds(stalled_);
    if (serving_.client_streams == 0) {
      serving_.client_streams = serving_.max_streams - serving_.max_streams / 4;
    }
    *command = serving_;
    return CheckAddress(serving_.listen);
  }
  return absl::OkStatus();
}

}  // namespace

bool ParseOptions(int argc, const char* const* argv, Command* command, Exit* exit) {
  return Parser().Parse(argc, argv, command, exit);
}

}  // namespace vxa
