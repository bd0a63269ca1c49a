import ArgumentParser
import TenancyWire

/// `tenantctl secrets …`.
struct SecretsGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "secrets", abstract: "Replaces the keys that tenants' secrets are sealed under.",
    subcommands: [RotateDataKeyCommand.self])
}

struct RotateDataKeyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rotate-data-key", abstract: "Seals all secrets under a new data key.",
    discussion: """
      New secrets are sealed under it at once, those that are there within moments, while the server \
      goes on. A new master key needs no command: put it in its place and send the server SIGHUP.
      """)

  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.RotateDataKeyRequest(
      requestId: repetition.requestID, validateOnly: trial.dryRun)
    let answer = try await server.connected {
      try await $0.secrets.rotateDataKey(request, options: $0.options)
    }
    output.show(
      answer,
      done: trial.dryRun
        ? trial.done("secrets are sealed under a new data key")
        : "Secrets are sealed under the data key \(answer.dataKey) from now on.")
  }
}
