#include "server/call_gate.h"

#include "gtest/gtest.h"

namespace vxa {
namespace {

TEST(ClientOf, IsTheAddressWithoutThePort) {
  EXPECT_EQ(ClientOf("ipv4:192.0.2.1:4711"), "ipv4:192.0.2.1");
  EXPECT_EQ(ClientOf("ipv4:192.0.2.1:4711"), ClientOf("ipv4:192.0.2.1:4712"));
  EXPECT_NE(ClientOf("ipv4:192.0.2.1:4711"), ClientOf("ipv4:192.0.2.2:4711"));
  EXPECT_EQ(ClientOf("unix:"), "unix:");
}

TEST(ClientOf, IsTheNetworkForIpv6) {
  EXPECT_EQ(ClientOf("ipv6:%5B2001:db8::1%5D:4711"), ClientOf("ipv6:%5B2001:db8::ffff:2%5D:1"));
  EXPECT_NE(ClientOf("ipv6:%5B2001:db8::1%5D:4711"), ClientOf("ipv6:%5B2001:db8:0:1::1%5D:4711"));
  EXPECT_EQ(ClientOf("ipv6:%5Bfe80::1%25eth0%5D:1"), ClientOf("ipv6:%5Bfe80::2%5D:1"));
  EXPECT_NE(ClientOf("ipv6:%5B::ffff:192.0.2.1%5D:1"), ClientOf("ipv6:%5B::ffff:192.0.2.2%5D:1"));
}

TEST(ClientOf, TakesAnythingElseAsItIs) {
  EXPECT_EQ(ClientOf(""), "");
  EXPECT_EQ(ClientOf("ipv6:%5Bnonsense%5D:1"), "ipv6:%5Bnonsense%5D:1");
  EXPECT_EQ(ClientOf("ipv6:%5B::1"), "ipv6:%5B::1");
}

}  // namespace
}  // namespace vxa
