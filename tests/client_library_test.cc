// The C++ client library against a real server.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "client/client.h"
#include "client/status.h"
#include "tests/server_process.h"

namespace vxa::client {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

// Gives `size` bytes in pieces of 1 MiB, and lets a test do something before each.
class PatternReader : public Reader {
 public:
  explicit PatternReader(size_t size) : left_(size) {}

  absl::StatusOr<std::string_view> Next() override {
    ++calls;
    if (absl::Status status = before(calls); !status.ok()) return status;
    piece_.assign(std::min(left_, kMiB), static_cast<char>(calls));
    left_ -= piece_.size();
    sent.append(piece_);
    return piece_;
  }

  std::function<absl::Status(int)> before = [](int) { return absl::OkStatus(); };
  int calls = 0;
  std::string sent;

 private:
  size_t left_;
  std::string piece_;
};

class StringWriter : public Writer {
 public:
  absl::Status Begin(const v1::ReadObjectMetadata&) override { return absl::OkStatus(); }
  absl::Status Append(std::string_view bytes) override {
    content.append(bytes);
    return status;
  }
  std::string content;
  absl::Status status;
};

template <class Request>
Request Of(const std::string& name) {
  Request request;
  request.set_namespace_("default");
  request.set_name(name);
  return request;
}

class ClientLibraryTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = new ServerProcess(); }
  static void TearDownTestSuite() { delete server_; }

  absl::StatusOr<v1::WriteObjectResult> Put(const std::string& name, PatternReader& reader) {
    return client_.Put(Of<v1::WriteObjectSpec>(name), reader);
  }

  void PutBytes(const std::string& name, size_t size) {
    PatternReader reader(size);
    ASSERT_TRUE(Put(name, reader).ok());
  }

  static ServerProcess* server_;
  Client client_{{.server = server_->address()}};
};

ServerProcess* ClientLibraryTest::server_ = nullptr;

TEST_F(ClientLibraryTest, WhatIsPutComesBackVerified) {
  PatternReader reader(5 * kMiB + 17);
  absl::StatusOr<v1::WriteObjectResult> put = Put("round/trip", reader);
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_EQ(put->object().size(), 5 * kMiB + 17);
  StringWriter writer;
  absl::StatusOr<GetResult> get = client_.Get(Of<v1::ReadObjectRequest>("round/trip"), writer);
  ASSERT_TRUE(get.ok()) << get.status();
  EXPECT_TRUE(get->verified);
  EXPECT_EQ(get->bytes, 5 * kMiB + 17);
  EXPECT_TRUE(writer.content == reader.sent);
  EXPECT_GT(get->end.cost_size(), 0);
}

TEST_F(ClientLibraryTest, AnEmptyObjectComesBack) {
  PutBytes("empty", 0);
  StringWriter writer;
  absl::StatusOr<GetResult> get = client_.Get(Of<v1::ReadObjectRequest>("empty"), writer);
  ASSERT_TRUE(get.ok()) << get.status();
  EXPECT_EQ(get->bytes, 0u);
}

TEST_F(ClientLibraryTest, APartComesAlone) {
  PatternReader reader(2 * kMiB);
  ASSERT_TRUE(Put("part", reader).ok());
  auto request = Of<v1::ReadObjectRequest>("part");
  request.set_read_offset(kMiB - 3);
  request.set_read_limit(6);
  StringWriter writer;
  absl::StatusOr<GetResult> get = client_.Get(request, writer);
  ASSERT_TRUE(get.ok()) << get.status();
  EXPECT_EQ(writer.content, reader.sent.substr(kMiB - 3, 6));
}

TEST_F(ClientLibraryTest, AReadersErrorEndsThePutAndStoresNothing) {
  PatternReader reader(8 * kMiB);
  reader.before = [](int call) {
    return call == 3 ? absl::DataLossError("bad sector") : absl::OkStatus();
  };
  EXPECT_EQ(Put("half", reader).status(), absl::DataLossError("bad sector"));
  EXPECT_EQ(ErrorReason(client_.Stat(Of<v1::GetObjectRequest>("half")).status()),
            "OBJECT_NOT_FOUND");
}

TEST_F(ClientLibraryTest, AWritersErrorEndsTheGet) {
  PutBytes("large", 32 * kMiB);
  StringWriter writer;
  writer.status = absl::ResourceExhaustedError("disk full");
  EXPECT_EQ(client_.Get(Of<v1::ReadObjectRequest>("large"), writer).status(), writer.status);
  EXPECT_LT(writer.content.size(), 32 * kMiB);
}

TEST_F(ClientLibraryTest, ARefusedPutIsNotSentToItsEnd) {
  PatternReader reader(1024 * kMiB);
  // Without an answer it would go on; the refusal comes as soon as the server has seen the name.
  absl::StatusOr<v1::WriteObjectResult> put = Put("/absolute", reader);
  EXPECT_EQ(ErrorReason(put.status()), "INVALID_NAME");
  EXPECT_LT(reader.calls, 1024);
}

TEST_F(ClientLibraryTest, ErrorsCarryTheServersReason) {
  StringWriter writer;
  const absl::Status missing = client_.Get(Of<v1::ReadObjectRequest>("missing"), writer).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ErrorReason(missing), "OBJECT_NOT_FOUND");
  EXPECT_EQ(ErrorReason(client_.Remove(Of<v1::DeleteObjectRequest>("missing")).status()),
            "OBJECT_NOT_FOUND");
}

TEST_F(ClientLibraryTest, ListsPageByPageAndRemoves) {
  for (int i = 0; i < 5; ++i) PutBytes("list/" + std::to_string(i), 10);
  v1::ListObjectsRequest request;
  request.set_namespace_("default");
  request.set_prefix("list/");
  request.set_page_size(2);
  std::vector<std::string> names;
  do {
    absl::StatusOr<v1::ListObjectsResponse> page = client_.List(request);
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_LE(page->objects_size(), 2);
    for (const v1::Object& object : page->objects()) names.push_back(object.name());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(names, (std::vector<std::string>{"list/0", "list/1", "list/2", "list/3", "list/4"}));
  absl::StatusOr<v1::DeleteObjectResponse> removed =
      client_.Remove(Of<v1::DeleteObjectRequest>("list/0"));
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_EQ(removed->version(), 2u);
}

TEST_F(ClientLibraryTest, IsSharedByThreads) {
  std::vector<std::thread> threads;
  std::vector<absl::Status> outcomes(4);
  for (size_t i = 0; i < outcomes.size(); ++i) {
    threads.emplace_back([&, i] {
      PatternReader reader(kMiB + i);
      const std::string name = "thread/" + std::to_string(i);
      outcomes[i] = Put(name, reader).status();
      StringWriter writer;
      if (outcomes[i].ok()) {
        outcomes[i] = client_.Get(Of<v1::ReadObjectRequest>(name), writer).status();
      }
      if (writer.content != reader.sent) outcomes[i] = absl::DataLossError(name);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& outcome : outcomes) EXPECT_TRUE(outcome.ok()) << outcome;
}

TEST_F(ClientLibraryTest, TheTimeoutEndsACall) {
  Client hasty({.server = server_->address(), .timeout = absl::Milliseconds(300)});
  PatternReader reader(100 * kMiB);
  reader.before = [](int) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return absl::OkStatus();
  };
  EXPECT_EQ(hasty.Put(Of<v1::WriteObjectSpec>("late"), reader).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST(ClientWithoutServer, NamesTheAddressAndHowToStartOne) {
  Client client({.server = "127.0.0.1:1"});
  const absl::Status status = client.Stat(Of<v1::GetObjectRequest>("x")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(std::string(status.message()).find("vxad --data DIR --listen 127.0.0.1:1"),
            std::string::npos)
      << status;
}

TEST(ClientWithoutServer, SaysThatTheConnectionBrokeWhereItDid) {
  ServerProcess server;
  Client client({.server = server.address()});
  PatternReader reader(64 * kMiB);
  reader.before = [&](int call) {
    if (call == 4) server.Kill();
    return absl::OkStatus();
  };
  const absl::Status status = client.Put(Of<v1::WriteObjectSpec>("x"), reader).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(std::string(status.message()).find(server.address()), std::string::npos) << status;
}

}  // namespace
}  // namespace vxa::client
