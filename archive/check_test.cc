#include "archive/check.h"
#include "gtest/gtest.h"
