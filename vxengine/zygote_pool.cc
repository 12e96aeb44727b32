#include "vxengine/zygote_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

// glibc 2.36 forgot to say so itself.
extern "C" {
#include <sys/pidfd.h>
}

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "vxengine/message_socket.h"

namespace vx {
namespace {

absl::Status Unavailable(const std::string& what, int error) {
  return absl::UnavailableError(absl::StrCat("vxworker: ", what, ": ", strerror(error)));
}

// Two ends of something. Neither is a standard descriptor, even where the server closed its own, so
// that none is overwritten while another process's are put in place.
struct Ends {
  UniqueFd ours, theirs;
};

// Ours doesn't block.
absl::StatusOr<Ends> MakeEnds(const int (&fds)[2], int theirs) {
  UniqueFd ends[2] = {UniqueFd(fds[0]), UniqueFd(fds[1])};
  for (UniqueFd& end : ends) {
    if (end.get() > STDERR_FILENO) continue;
    const int moved = fcntl(end.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (moved < 0) return Unavailable("fcntl(F_DUPFD_CLOEXEC)", errno);
    end.Reset(moved);
  }
  if (fcntl(ends[1 - theirs].get(), F_SETFL, O_NONBLOCK) != 0) {
    return Unavailable("fcntl(O_NONBLOCK)", errno);
  }
  return Ends{.ours = std::move(ends[1 - theirs]), .theirs = std::move(ends[theirs])};
}

// `theirs`: 0 reads, 1 writes.
absl::StatusOr<Ends> MakePipe(int theirs) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return Unavailable("pipe2", errno);
  return MakeEnds(fds, theirs);
}

absl::StatusOr<Ends> MakeSocket() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return Unavailable("socketpair", errno);
  }
  return MakeEnds(fds, 1);
}

absl::StatusOr<UniqueFd> InMemory(std::string_view bytes) {
  const UniqueFd made(memfd_create("decoder", MFD_CLOEXEC));
  UniqueFd file(made.open() ? fcntl(made.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : -1);
  if (!file.open()) return Unavailable("memfd_create", errno);
  while (!bytes.empty()) {
    const ssize_t count = write(file.get(), bytes.data(), bytes.size());
    if (count < 0) return Unavailable("writing the decoder to memory", errno);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return file;
}

struct WorkerPipes {
  WorkerEnds ours, theirs;
};

absl::StatusOr<WorkerPipes> MakeWorkerPipes() {
  absl::StatusOr<Ends> request = MakePipe(0), output = MakePipe(1), report = MakePipe(1),
                       supervision = MakeSocket();
  for (const absl::StatusOr<Ends>* ends : {&request, &output, &report, &supervision}) {
    if (!ends->ok()) return ends->status();
  }
  return WorkerPipes{.ours = {std::move(request->ours), std::move(output->ours),
                              std::move(report->ours), std::move(supervision->ours)},
                     .theirs = {std::move(request->theirs), std::move(output->theirs),
                                std::move(report->theirs), std::move(supervision->theirs)}};
}

// 0, or errno.
int OrderWorker(const UniqueFd& orders, const WorkerEnds& theirs) {
  std::array<int, kForkDescriptors> fds;
  fds[kRequestEnd] = theirs.request.get();
  fds[kOutputEnd] = theirs.output.get();
  fds[kReportEnd] = theirs.report.get();
  fds[kSupervisionEnd] = theirs.supervision.get();
  return SendMessage(orders.get(), kForkOrder, fds);
}

// What posix_spawn wants to be told, freed at the end.
class SpawnPlan {
 public:
  SpawnPlan() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  // Starts `path` with `argument`, with these descriptors, /dev/null for errors and no others, in
  // /, without environment, with no signal blocked, ignored or handled. 0, or an error number, that
  // of a failed exec included.
  int Spawn(const char* path, const char* argument, int orders, int image, pid_t* pid) {
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    for (int error :
         {posix_spawn_file_actions_adddup2(&actions_, orders, kOrdersFd),
          posix_spawn_file_actions_adddup2(&actions_, image, kImageFd),
          posix_spawn_file_actions_addopen(&actions_, STDERR_FILENO, "/dev/null", O_WRONLY, 0),
          posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1),
          posix_spawn_file_actions_addchdir_np(&actions_, "/"),
          posix_spawnattr_setsigmask(&attributes_, &none),
          posix_spawnattr_setsigdefault(&attributes_, &all),
          posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)}) {
      if (error != 0) return error;
    }
    char* const argv[] = {const_cast<char*>("vxworker"), const_cast<char*>(argument), nullptr};
    char* const environment[] = {nullptr};
    return posix_spawn(pid, path, &actions_, &attributes_, argv, environment);
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

struct ZygotePool::Zygote {
  // Set before others see it.
  std::string elf;
  Preparation preparation;
  // Guarded by mutex_, but for what doesn't change once it is started.
  bool started = false;
  absl::Status status;     // whether it could be
  UniqueFd pidfd, orders;  // this side's
  bool leaves = false;
  bool has_told = false;  // of its layers, or died before
  std::optional<uint32_t> layers;
  absl::Time used;
  bool wants_spare = false;
  std::optional<WorkerEnds> spare;  // of a worker that waits for its first request
};

ZygotePool::ZygotePool(std::string path, Limits limits, Layers layers)
    : path_(std::move(path)),
      limits_(limits),
      layers_(layers),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  // The server's signal handlers are not to run on a thread that it doesn't know of.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { ThreadMain(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

ZygotePool::~ZygotePool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  Wake();
  thread_.join();
  for (const std::vector<ZygotePtr>* zygotes : {&zygotes_, &leaving_}) {
    for (const ZygotePtr& zygote : *zygotes) {
      if (!zygote->pidfd.open()) continue;
      pidfd_send_signal(zygote->pidfd.get(), SIGKILL, nullptr, 0);
      siginfo_t info;
      while (waitid(P_PIDFD, static_cast<id_t>(zygote->pidfd.get()), &info, WEXITED) != 0 &&
             errno == EINTR) {
      }
    }
  }
}

void ZygotePool::Wake() {
  const uint64_t one = 1;
  if (write(wake_.get(), &one, sizeof one) < 0) return;  // it is awake
}

void ZygotePool::ThreadMain() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    for (size_t n = 0; n < zygotes_.size(); ++n) {
      const ZygotePtr zygote = zygotes_[n];
      if (zygote->started) continue;
      lock.unlock();
      Start(zygote.get());
      lock.lock();
      zygote->started = true;
      changed_.notify_all();
    }
    for (const ZygotePtr& zygote : std::vector<ZygotePtr>(zygotes_)) {
      if (zygote->wants_spare && !zygote->spare) OrderSpare(zygote.get(), &lock);
    }
    const int timeout = Tidy();
    std::vector<pollfd> polls = {{.fd = wake_.get(), .events = POLLIN}};
    std::vector<ZygotePtr> telling;
    for (const std::vector<ZygotePtr>* zygotes : {&zygotes_, &leaving_}) {
      for (const ZygotePtr& zygote : *zygotes) {
        polls.push_back({.fd = zygote->pidfd.get(), .events = POLLIN});
        if (!zygote->started || zygote->has_told) continue;
        polls.push_back({.fd = zygote->orders.get(), .events = POLLIN});
        telling.push_back(zygote);
      }
    }
    lock.unlock();
    poll(polls.data(), polls.size(), timeout);
    uint64_t count;
    if (read(wake_.get(), &count, sizeof count) < 0) count = 0;
    lock.lock();
    for (const ZygotePtr& zygote : telling) Listen(zygote.get());
  }
}

// Takes what it tells of its layers, if it does. mutex_ is held.
void ZygotePool::Listen(Zygote* zygote) {
  pollfd told = {.fd = zygote->orders.get(), .events = POLLIN};
  if (poll(&told, 1, 0) != 1) return;
  Message message;
  if (ReceiveMessage(zygote->orders.get(), &message) == 0) {
    zygote->layers = DecodeLayers(message.bytes);
  }
  zygote->has_told = true;
  changed_.notify_all();
}

// Lets those go that are idle or too many, kills those that should have gone (what they load nobody
// vouches for), and buries those that have ended. Milliseconds until there is something to do
// again, or -1. mutex_ is held.
int ZygotePool::Tidy() {
  const absl::Time now = absl::Now();
  for (const ZygotePtr& zygote : std::vector<ZygotePtr>(zygotes_)) {
    if (zygote->started && !zygote->status.ok()) Dismiss(zygote);
  }
  std::sort(zygotes_.begin(), zygotes_.end(),
            [](const ZygotePtr& a, const ZygotePtr& b) { return a->used < b->used; });
  while (!zygotes_.empty() && zygotes_.front()->started &&
         (zygotes_.size() > limits_.zygotes || zygotes_.front()->used + limits_.idle <= now)) {
    Dismiss(zygotes_.front());
  }
  for (const ZygotePtr& zygote : leaving_) {
    if (zygote.use_count() == 1 && zygote->pidfd.open()) {
      pidfd_send_signal(zygote->pidfd.get(), SIGKILL, nullptr, 0);
    }
  }
  for (std::vector<ZygotePtr>* zygotes : {&zygotes_, &leaving_}) {
    std::erase_if(*zygotes, [](const ZygotePtr& zygote) {
      siginfo_t info = {};
      if (!zygote->started) return false;
      return !zygote->pidfd.open() || (waitid(P_PIDFD, static_cast<id_t>(zygote->pidfd.get()),
                                              &info, WEXITED | WNOHANG) == 0 &&
                                       info.si_pid != 0);
    });
  }
  if (zygotes_.empty()) return -1;
  const absl::Duration wait = zygotes_.front()->used + limits_.idle - now;
  return static_cast<int>(std::clamp<int64_t>(absl::ToInt64Milliseconds(wait) + 1, 0, INT_MAX));
}

// It can't be found any more, and ends once its workers have. mutex_ is held.
void ZygotePool::Dismiss(const ZygotePtr& zygote) {
  const auto found = std::find(zygotes_.begin(), zygotes_.end(), zygote);
  if (found == zygotes_.end()) return;
  shutdown(zygote->orders.get(), SHUT_WR);
  zygote->leaves = true;
  zygote->spare.reset();  // which ends with its request
  leaving_.push_back(zygote);
  zygotes_.erase(found);
}

// On the thread.
void ZygotePool::Start(Zygote* zygote) {
  const auto start = [&]() -> absl::Status {
    absl::StatusOr<Ends> orders = MakeSocket();
    if (!orders.ok()) return orders.status();
    absl::StatusOr<UniqueFd> image = InMemory(zygote->elf);
    if (!image.ok()) return image.status();
    pid_t pid;
    const std::string own_pid = absl::StrCat(getpid());
    if (const int error = SpawnPlan().Spawn(path_.c_str(), own_pid.c_str(), orders->theirs.get(),
                                            image->get(), &pid);
        error != 0) {
      return Unavailable(path_, error);
    }
    // The pid stays its own until it is waited for.
    zygote->pidfd.Reset(pidfd_open(pid, 0));
    if (!zygote->pidfd.open()) {
      const int error = errno;
      kill(pid, SIGKILL);
      while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
      }
      return Unavailable("pidfd_open", error);
    }
    zygote->orders = std::move(orders->ours);
    SendMessage(zygote->orders.get(), EncodePreparation(zygote->preparation));
    return absl::OkStatus();
  };
  zygote->status = start();
}

// The one of them that has the decoder, or null. mutex_ is held.
ZygotePool::ZygotePtr ZygotePool::Find(std::string_view elf, const Preparation& preparation) const {
  const auto found = std::find_if(zygotes_.begin(), zygotes_.end(), [&](const ZygotePtr& zygote) {
    return zygote->preparation == preparation && zygote->elf == elf;
  });
  return found != zygotes_.end() ? *found : nullptr;
}

// Has a worker forked before it is needed. mutex_ is held, but for a moment.
void ZygotePool::OrderSpare(Zygote* zygote, std::unique_lock<std::mutex>* lock) {
  zygote->wants_spare = false;
  lock->unlock();
  absl::StatusOr<WorkerPipes> pipes = MakeWorkerPipes();
  const bool ordered = pipes.ok() && OrderWorker(zygote->orders, pipes->theirs) == 0;
  lock->lock();
  if (ordered && !zygote->leaves) zygote->spare = std::move(pipes->ours);
}

absl::StatusOr<ZygotePool::ZygotePtr> ZygotePool::Get(std::string_view elf,
                                                      const Preparation& preparation) {
  std::unique_lock lock(mutex_);
  ZygotePtr zygote = Find(elf, preparation);
  if (zygote) {
    zygote->used = absl::Now();
  } else {
    zygote = std::make_shared<Zygote>();
    zygote->elf = elf;
    zygote->preparation = preparation;
    zygote->used = absl::Now();
    zygotes_.push_back(zygote);
    Wake();
  }
  changed_.wait(lock, [&] { return zygote->started; });
  if (!zygote->status.ok()) return zygote->status;
  return zygote;
}

absl::StatusOr<uint32_t> ZygotePool::EnteredLayers() {
  // Of no decoder.
  const absl::StatusOr<ZygotePtr> zygote =
      Get("", {.layers = layers_.tried, .required_layers = layers_.required});
  if (!zygote.ok()) return zygote.status();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return (*zygote)->has_told; });
  Dismiss(*zygote);
  Wake();
  if ((*zygote)->layers) return *(*zygote)->layers;
  return absl::UnavailableError("vxworker ended before it was locked in");
}

// With this, the zygote isn't taken for one that has no workers.
std::unique_ptr<WorkerProcess> ZygotePool::AsWorker(const ZygotePtr& zygote, WorkerEnds ends) {
  return std::make_unique<WorkerProcess>(std::shared_ptr<const UniqueFd>(zygote, &zygote->pidfd),
                                         std::move(ends.supervision), std::move(ends.request),
                                         std::move(ends.output), std::move(ends.report));
}

// The zygote's spare, or null.
std::unique_ptr<WorkerProcess> ZygotePool::TakeSpare(std::string_view elf,
                                                     const Preparation& preparation) {
  ZygotePtr zygote;
  WorkerEnds ends;
  {
    const std::lock_guard lock(mutex_);
    zygote = Find(elf, preparation);
    if (!zygote || !zygote->spare) return nullptr;
    ends = *std::exchange(zygote->spare, std::nullopt);
    zygote->used = absl::Now();
    zygote->wants_spare = true;
  }
  Wake();
  std::unique_ptr<WorkerProcess> worker = AsWorker(zygote, std::move(ends));
  return worker->Attend() ? nullptr : std::move(worker);  // it may have ended in the meantime
}

absl::StatusOr<std::unique_ptr<WorkerProcess>> ZygotePool::NewWorker(std::string_view elf,
                                                                     Profile profile,
                                                                     bool count_instructions) {
  const Preparation preparation = {.elf_size = static_cast<uint32_t>(elf.size()),
                                   .profile = profile,
                                   .count_instructions = count_instructions,
                                   .layers = layers_.tried,
                                   .required_layers = layers_.required};
  if (std::unique_ptr<WorkerProcess> spare = TakeSpare(elf, preparation)) return spare;
  absl::StatusOr<WorkerPipes> pipes = MakeWorkerPipes();
  if (!pipes.ok()) return pipes.status();
  // A zygote may have died, be dismissed in the meantime, or take no orders any more.
  int error = 0;
  for (int attempts = 0; attempts < 2; ++attempts) {
    const absl::StatusOr<ZygotePtr> zygote = Get(elf, preparation);
    if (!zygote.ok()) return zygote.status();
    error = OrderWorker((*zygote)->orders, pipes->theirs);
    const std::lock_guard lock(mutex_);
    if (error == 0) {
      (*zygote)->wants_spare = true;
      Wake();
      return AsWorker(*zygote, std::move(pipes->ours));
    }
    Dismiss(*zygote);
  }
  return Unavailable("asking a zygote", error);
}

}  // namespace vx
