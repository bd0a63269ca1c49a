import ArgumentParser
import TenancyWire

/// `tenantctl auth …`.
struct AuthenticationGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "auth",
    abstract: "By which tokens a tenant's callers may say who they are.",
    subcommands: [ShowAuthenticationCommand.self, SetAuthenticationCommand.self])
}

struct ShowAuthenticationCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Shows a tenant's authentication settings.",
    discussion: "With --output json they are as `auth set` reads them.")

  @OptionGroup var tenant: TenantArgument
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.GetAuthenticationSettingsRequest(parent: try tenant.name())
    output.show(
      try await server.connected {
        try await $0.tokens.getAuthenticationSettings(request, options: $0.options)
      })
  }
}

struct SetAuthenticationCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "set", abstract: "Sets all of a tenant's authentication settings.",
    discussion: """
      The file has them as JSON, as `auth show --output json` writes them; what is absent has its default. With the \
      etag in it, it fails if they have changed since they were shown. What they don't allow any more ends at once.
      """)

  @OptionGroup var tenant: TenantArgument
  @Option(help: ArgumentHelp("The settings; - for stdin.", valueName: "file"), completion: .file())
  var file: String
  @OptionGroup var confirmation: ConfirmationOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func request() throws -> V1.SetAuthenticationSettingsRequest {
    let bytes = try InputFile.bytes(file, atMost: AuthenticationFile.maximumBytes)
    return V1.SetAuthenticationSettingsRequest(
      parent: try tenant.name(), settings: try AuthenticationFile(parsing: bytes).settings,
      validateOnly: trial.dryRun, requestId: repetition.requestID)
  }

  func run() async throws {
    let request = try request()
    try confirmation.confirm(
      unless: trial.dryRun, "Replace all authentication settings, and end what they don't allow?")
    output.show(
      try await server.connected {
        try await $0.tokens.setAuthenticationSettings(request, options: $0.options)
      })
  }
}
