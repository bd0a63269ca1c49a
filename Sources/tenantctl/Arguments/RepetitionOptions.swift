import ArgumentParser

/// For commands that may be given again.
struct RepetitionOptions: ParsableArguments {
  @Option(
    name: .customLong("request-id"),
    help: ArgumentHelp(
      "A UUID: repeating the command with it changes nothing twice.", valueName: "uuid"))
  var requestID = ""
}
