import ArgumentParser
import TenancyWire

/// `tenantctl keys …`.
struct KeysGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys", abstract: "The keys that sign a tenant's tokens.",
    subcommands: [ListKeysCommand.self, RotateKeyCommand.self, RemoveKeyCommand.self])
}

struct ListKeysCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists the keys that verify a tenant's tokens.")

  @OptionGroup var tenant: TenantArgument
  @Flag(help: "Prints the public keys as a JWK set, and nothing else: for `token verify`.")
  var jwks = false
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.GetJsonWebKeySetRequest(parent: try tenant.name())
    let found = try await server.connected {
      try await $0.tokens.getJsonWebKeySet(request, options: $0.options)
    }
    jwks ? print(Printable.json(found.jsonWebKeySet)) : output.show(found)
  }
}

/// How a key signs.
enum KeyAlgorithm: String, ExpressibleByArgument, CaseIterable {
  case es256 = "ES256"
  case edDSA = "EdDSA"

  var message: V1.TokenAlgorithm {
    switch self {
    case .es256: .es256
    case .edDSA: .eddsa
    }
  }
}

struct RotateKeyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rotate", abstract: "Signs with a new key from now on.",
    discussion: "The former one verifies until the last token that it has signed expires.")

  @OptionGroup var tenant: TenantArgument
  @Option(help: "How the new one signs; as the server is configured if absent.")
  var algorithm: KeyAlgorithm?
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.RotateTokenKeyRequest(
      parent: try tenant.name(), algorithm: algorithm?.message ?? .unspecified,
      requestId: repetition.requestID, validateOnly: trial.dryRun)
    output.show(
      try await server.connected {
        try await $0.tokens.rotateTokenKey(request, options: $0.options)
      })
  }
}

struct RemoveKeyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Removes a key at once: tokens that it has signed are void.",
    discussion: "For one that others may have got hold of. A former key ends by itself.")

  @OptionGroup var tenant: TenantArgument
  @Argument(help: "The key's id (kid); behind -- if it begins with a hyphen.") var key: String
  @OptionGroup var confirmation: ConfirmationOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.RemoveTokenKeyRequest(
      parent: try tenant.name(), keyId: key, requestId: repetition.requestID,
      validateOnly: trial.dryRun)
    try confirmation.confirm(
      unless: trial.dryRun, "Remove \(key), and void all tokens that it has signed?")
    output.show(
      try await server.connected {
        try await $0.tokens.removeTokenKey(request, options: $0.options)
      }, done: trial.done("removed \(key)"))
  }
}
