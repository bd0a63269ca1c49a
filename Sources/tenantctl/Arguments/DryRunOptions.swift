import ArgumentParser

/// For changes that can be tried: the server judges them as any other, and keeps nothing.
struct DryRunOptions: ParsableArguments {
  @Flag(
    name: [.long, .customLong("validate-only")],
    help: "Asks whether the server would do it, and shows what would come of it; changes nothing.")
  var dryRun = false

  /// What is said of something that is done.
  func done(_ text: String) -> String {
    dryRun ? "\(text): not yet, it is a dry run" : text
  }
}
