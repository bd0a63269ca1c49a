import ArgumentParser
import TenancyWire

struct ResolveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resolve", abstract: "Which tenant is a request for?",
    discussion: "Without selectors, the caller's own certificate decides.")

  @Option(help: "The request's path, /tenants/SLUG/…") var path = ""
  @Option(help: "The request's host: SLUG.DOMAIN, or a domain of a tenant.") var host = ""
  @Option(
    help: ArgumentHelp("A header of the request. May be repeated.", valueName: "name=value"),
    transform: KeyValue.init(parsing:))
  var header: [KeyValue] = []
  @Option(
    help: ArgumentHelp("An environment variable. May be repeated.", valueName: "name=value"),
    transform: KeyValue.init(parsing:))
  var env: [KeyValue] = []
  @Option(help: ArgumentHelp("A file that holds a bearer token; - for stdin.", valueName: "file"))
  var tokenFile: String?
  @Flag(
    help: "What each source says and which rule decides. Exits with 3 if the answer is no tenant.")
  var explain = false
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func request() throws(UsageError) -> V1.ResolveTenantRequest {
    V1.ResolveTenantRequest(
      path: path, host: host,
      headers: try KeyValue.dictionary(header, option: "--header") { $0.value },
      token: try tokenFile.map { file throws(UsageError) in try InputFile.secret(file) } ?? "",
      environment: try KeyValue.dictionary(env, option: "--env") { $0.value })
  }

  func run() async throws {
    let request = try request()
    if explain {
      let answer = try await server.connected {
        try await $0.resolver.explainResolution(request, options: $0.options)
      }
      output.show(answer)
      if answer.verdict?.tenant == nil { throw ExitCode(Failure.answerIsNo) }
      return
    }
    output.show(
      try await server.connected {
        try await $0.resolver.resolveTenant(request, options: $0.options)
      })
  }
}

struct ValidateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "validate", abstract: "Does a tenant exist, and serve?",
    discussion: "Exits with 0 if it does, with 3 if not.")

  @OptionGroup var tenant: TenantArgument
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.ValidateTenantRequest(name: try tenant.name())
    let answer = try await server.connected {
      try await $0.resolver.validateTenant(request, options: $0.options)
    }
    output.show(answer)
    if !answer.valid { throw ExitCode(Failure.answerIsNo) }
  }
}

struct DefaultTenantCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "default-tenant", abstract: "Shows the tenant of callers that name none.")

  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    output.show(
      try await server.connected {
        try await $0.resolver.getDefaultTenant(V1.GetDefaultTenantRequest(), options: $0.options)
      })
  }
}

struct WhoAmICommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "whoami", abstract: "Shows who the server takes the caller for.")

  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    output.show(
      try await server.connected {
        try await $0.identity.whoAmI(V1.WhoAmIRequest(), options: $0.options)
      })
  }
}
