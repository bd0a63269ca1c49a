import ArgumentParser
import Tenancy

/// The tenancy daemon.
@main
struct Tenantd: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tenantd",
    abstract: "Answers which tenant a call is for, who may act for it, and where its data lives.",
    version: "tenantd \(Version.text)", subcommands: [Serve.self, Check.self])
}
