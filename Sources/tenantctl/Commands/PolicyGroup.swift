import ArgumentParser
import Foundation
import Tenancy
import TenancyWire

/// `tenantctl policy …`.
struct PolicyGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "policy", abstract: "A tenant's policy as a file, with tests beside it.",
    subcommands: [
      ValidatePolicyCommand.self, TestPolicyCommand.self, PlanPolicyCommand.self,
      ApplyPolicyCommand.self, ExportPolicyCommand.self, DiffPolicyCommand.self,
      PolicySchemaCommand.self, ImportPolicyCommand.self,
    ])
}

struct ValidatePolicyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "validate", abstract: "Says all that is wrong with policy files.",
    discussion: """
      Asks no server. What only that knows is not judged: who applies it, and which workloads are the tenant's.
      """)

  @Argument(help: "Policy files; - for stdin.", completion: .file()) var files: [String]

  func run() throws {
    var problems: [FleetProblem] = []
    for file in files {
      do {
        let policy = try PolicyReader.file(file)
        print(Printable.text("\(file): valid: \(policy.summary)"))
      } catch let failure as FleetFailure {
        problems += failure.problems
      }
    }
    guard problems.isEmpty else {
      throw FleetFailure(problems: problems, heading: "not valid")
    }
  }
}

extension PolicyFile {
  /// What is in it, for people.
  var summary: String {
    "\(roles.count) roles, \(groups.count) groups, \(assignments.count) assignments, \(tests.count) tests"
  }
}

struct TestPolicyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "test", abstract: "Runs the tests of policy files.",
    discussion: """
      On the engine that a server has, and without one. Exits with 3 if any answer is not as expected.
      """)

  @Argument(help: "A policy file; - for stdin.", completion: .file()) var file: String
  @OptionGroup var output: OutputOptions

  func run() throws {
    let policy = try PolicyReader.file(file)
    guard !policy.tests.isEmpty else { throw UsageError("\(file) has no tests") }
    let run = PolicyTestRun(policy, file: file == "-" ? "stdin" : file)
    output.show(run)
    if !run.failures.isEmpty { throw ExitCode(Failure.answerIsNo) }
  }
}

struct ExportPolicyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Writes a tenant's policy as a file.",
    discussion: """
      The same policy has the same text. Roles that are built in, and what has ended, are not in it.
      """)

  @OptionGroup var tenant: TenantArgument
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let name = try tenant.name()
    let policy = try await server.connected {
      try await PolicyFile(of: name, FleetSource(connection: $0))
    }
    print(try PolicyWriter.text(policy), terminator: "")
  }
}

struct DiffPolicyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff", abstract: "Shows what is not the same in two policies.",
    discussion: """
      With --tenant, what would have to change on the server for the file to be true. Exits with 3 if anything differs. \
      Tests are not compared.
      """)

  @Argument(help: "A policy file, and another one unless --tenant is given.", completion: .file())
  var files: [String]
  @Option(help: "The tenant whose policy the file is compared with.") var tenant: String?
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func validate() throws {
    guard files.count == (tenant == nil ? 2 : 1) else {
      throw ValidationError("Give two files, or one and --tenant.")
    }
  }

  func run() async throws {
    var policies = try files.map { try PolicyReader.file($0) }
    if let tenant {
      let name = try ResourceName.tenant(tenant)
      let there = try await server.connected {
        try await PolicyFile(of: name, FleetSource(connection: $0))
      }
      policies.insert(there, at: 0)
    }
    guard let old = policies.first, let new = policies.last else { return }
    let difference = PolicyDifference(from: old, to: new)
    output.show(difference)
    if !difference.changes.isEmpty { throw ExitCode(Failure.answerIsNo) }
  }
}

struct PolicySchemaCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "schema", abstract: "Prints the JSON Schema of policy files, for editors.")

  func run() throws { print(PolicySchema.text, terminator: "") }
}
