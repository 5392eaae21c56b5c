#include <signal.h>

#include "gmock/gmock.h"

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);  // as podvisord does
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
