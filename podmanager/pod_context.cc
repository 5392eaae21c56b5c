#include "podmanager/pod_context.h"

#include <array>

#include "absl/time/clock.h"
#include "podmanager/show.h"

namespace podvisor {
namespace {

constexpr std::array<PodEventType, 4> kStages = {PodEventType::kCreated, PodEventType::kStarted, PodEventType::kStopped,
                                                 PodEventType::kDeleted};

void Tell(PodContext& context, const Sandbox& sandbox, const std::string& id, PodEventType type) {
  if (!context.events.HasListeners()) return;
  auto event = std::make_shared<PodEvent>();
  event->container_id = id;
  event->type = type;
  event->at = absl::Now();
  event->sandbox = ShowSandbox(sandbox);
  for (const std::shared_ptr<Container>& container : context.containers.All()) {
    if (container->sandbox().get() == &sandbox && container->phase() != ContainerPhase::kCreating)
      event->containers.push_back(ShowContainer(*container));
  }
  context.events.Publish(std::move(event));
}

// What has to be told of a life that has come to `stage` and of which `told` has been; with the stages that were left
// out because they never happened.
template <typename Object, typename Happened>
void TellStages(PodContext& context, const Sandbox& sandbox, const Object& object, LifeStage stage, Happened happened) {
  for (int next = static_cast<int>(object.told()) + 1; next <= static_cast<int>(stage); ++next) {
    if (happened(static_cast<LifeStage>(next)))
      Tell(context, sandbox, object.id(), kStages[static_cast<size_t>(next) - 1]);
  }
  if (stage > object.told()) object.set_told(stage);
}

}  // namespace

void PodContext::Changed(const Sandbox& sandbox) {
  {
    absl::MutexLock lock(&telling);
    const bool listed = sandboxes.Find(sandbox.id()).ok();
    const LifeStage before = sandbox.told();
    const LifeStage stage = listed ? StageOf(sandbox.phase()) : LifeStage::kDeleted;
    // Nobody has seen one that was undone.
    if (listed || before != LifeStage::kNone)
      TellStages(*this, sandbox, sandbox, stage, [](LifeStage) { return true; });
  }
  if (options.on_change) options.on_change(sandbox.id(), "");
}

void PodContext::Changed(const Container& container) {
  {
    absl::MutexLock lock(&telling);
    const bool listed = containers.Find(container.id()).ok();
    const LifeStage before = container.told();
    const LifeStage stage = listed ? StageOf(container.phase()) : LifeStage::kDeleted;
    bool started = false;
    bool exited = false;
    container.Look([&](const ContainerRecord& record) {
      started = record.started_at_ns() != 0;
      exited = record.finished_at_ns() != 0;
    });
    if (listed || before != LifeStage::kNone) {
      TellStages(*this, *container.sandbox(), container, stage, [&](LifeStage next) {
        return next == LifeStage::kStarted ? started : next == LifeStage::kStopped ? exited : true;
      });
    }
  }
  if (options.on_change) options.on_change(container.sandbox()->id(), container.id());
}

}  // namespace podvisor
