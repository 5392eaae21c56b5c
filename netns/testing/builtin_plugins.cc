// Linked into a test: its networks use built-in plugins.
#include "netns/testing/pod_network_fixture.h"

namespace podvisor {
namespace {

[[maybe_unused]] const Plugins kChosen = ChosenPlugins() = Plugins::kBuiltin;

}  // namespace
}  // namespace podvisor
