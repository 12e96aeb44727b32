#include "vxengine/worker_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

// glibc 2.36 forgot to say so itself.
extern "C" {
#include <sys/pidfd.h>
}

#include <memory>
#include <optional>
#include <utility>

#include "vxengine/message_socket.h"

namespace vx {
namespace {

using ::testing::HasSubstr;

// A process that does nothing.
class Sleeper {
 public:
  Sleeper() : pid_(fork()) {
    if (pid_ == 0) {
      for (;;) pause();
    }
    pidfd_.Reset(pidfd_open(pid_, 0));
  }
  ~Sleeper() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  int pidfd() const { return pidfd_.get(); }
  UniqueFd NewPidfd() const { return UniqueFd(pidfd_open(pid_, 0)); }
  // Waits for its end; the signal that it died of.
  int Signal() const {
    siginfo_t info = {};
    EXPECT_EQ(waitid(P_PIDFD, static_cast<id_t>(pidfd()), &info, WEXITED | WNOWAIT), 0);
    return info.si_status;
  }

 private:
  const pid_t pid_;
  UniqueFd pidfd_;
};

// A worker whose zygote is the test.
class WorkerProcessTest : public ::testing::Test {
 protected:
  WorkerProcessTest() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    ours_.Reset(fds[0]);
    worker_.emplace(std::make_shared<UniqueFd>(zygote_.NewPidfd()), UniqueFd(fds[1]), UniqueFd(),
                    UniqueFd(), UniqueFd(), absl::Milliseconds(20));
  }

  void TellStart(const Sleeper& sleeper) {
    const int pidfd = sleeper.pidfd();
    EXPECT_EQ(SendMessage(ours_.get(), kWorkerStarted, {&pidfd, 1}), 0);
  }

  Sleeper zygote_, process_;
  UniqueFd ours_;
  std::optional<WorkerProcess> worker_;
};

TEST_F(WorkerProcessTest, EndsAsTheZygoteSays) {
  TellStart(process_);
  EXPECT_FALSE(worker_->Attend());
  EXPECT_EQ(SendMessage(ours_.get(), EncodeWorkerEnd({.code = CLD_EXITED, .status = 3})), 0);
  EXPECT_TRUE(worker_->Attend());
  EXPECT_THAT(worker_->Bury().message(), HasSubstr("exit status 3"));
}

TEST_F(WorkerProcessTest, TakesTheZygoteWithItThatSaysNothing) {
  TellStart(process_);
  const absl::Status end = worker_->Bury();
  EXPECT_EQ(end.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(end.message(), HasSubstr("zygote"));
  EXPECT_EQ(process_.Signal(), SIGKILL);
  EXPECT_EQ(zygote_.Signal(), SIGKILL);
}

TEST_F(WorkerProcessTest, IsWaitedForOnceItHasSpokenThoughTheZygoteHasNotTold) {
  worker_->HasSpoken();
  ASSERT_THAT(worker_->Bury().message(), HasSubstr("zygote"));
  EXPECT_EQ(zygote_.Signal(), SIGKILL);
}

TEST_F(WorkerProcessTest, StartsOnce) {
  TellStart(process_);
  TellStart(zygote_);
  EXPECT_TRUE(worker_->Attend());
  EXPECT_THAT(worker_->Bury().message(), HasSubstr("zygote"));
}

TEST_F(WorkerProcessTest, HasEndedWhenTheZygoteTalksNonsenseOrNotAtAll) {
  EXPECT_FALSE(worker_->Attend());
  EXPECT_EQ(SendMessage(ours_.get(), "nonsense"), 0);
  EXPECT_TRUE(worker_->Attend());
}

TEST_F(WorkerProcessTest, HasEndedWithTheZygote) {
  ours_.Reset();
  EXPECT_TRUE(worker_->Attend());
}

TEST_F(WorkerProcessTest, NeedNotHaveStarted) {
  EXPECT_THAT(worker_->Bury().message(), HasSubstr("not been forked"));
}

}  // namespace
}  // namespace vx
