import ArgumentParser
import TenancyWire

/// Who may do what, as lists.
struct AccessGroup: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "access", abstract: "Lists who may do what in a tenant.",
    subcommands: [ListPermissions.self, ListSubjects.self, ListResources.self])
}

extension AccessGroup {
  struct ListPermissions: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "permissions", abstract: "Lists what somebody may do.",
      discussion: "Conditions are evaluated if attributes are told.")

    @OptionGroup var tenant: TenantArgument
    @Argument(help: "Who: user:alice, or a SPIFFE ID.") var subject: String
    @Option(help: "Only to this: a type such as docs, or one resource such as docs/42.")
    var resource = ""
    @OptionGroup var attributes: AttributeOptions
    @OptionGroup var pages: PageOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Server") var server: ServerOptions

    func run() async throws {
      var request = V1.ListPermissionsRequest(
        tenant: try tenant.name(), subject: subject, resource: resource,
        attributes: try attributes.message(), pageSize: pages.pageSize)
      var revision: UInt64 = 0
      let (permissions, next) = try await server.connected { connection in
        try await pages.collect { token in
          request.pageToken = token
          let page = try await connection.authorization.listPermissions(
            request, options: connection.options)
          revision = page.revision
          return (page.permissions, page.nextPageToken)
        }
      }
      output.show(
        V1.ListPermissionsResponse(
          permissions: permissions, nextPageToken: next, revision: revision), next: next, of: pages)
    }
  }

  struct ListSubjects: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "subjects", abstract: "Lists who may do something.")

    @OptionGroup var tenant: TenantArgument
    @Argument(help: "What: resource:action.") var permission: String
    @Option(
      help: "To which one of the permission's resources, such as 42; all of them unless told.")
    var resource = ""
    @OptionGroup var attributes: AttributeOptions
    @OptionGroup var pages: PageOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Server") var server: ServerOptions

    func run() async throws {
      var request = V1.ListSubjectsRequest(
        tenant: try tenant.name(), permission: permission, resource: resource,
        attributes: try attributes.message(), pageSize: pages.pageSize)
      var revision: UInt64 = 0
      let (subjects, next) = try await server.connected { connection in
        try await pages.collect { token in
          request.pageToken = token
          let page = try await connection.authorization.listSubjects(
            request, options: connection.options)
          revision = page.revision
          return (page.subjects, page.nextPageToken)
        }
      }
      output.show(
        V1.ListSubjectsResponse(subjects: subjects, nextPageToken: next, revision: revision),
        next: next, of: pages)
    }
  }

  struct ListResources: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "resources", abstract: "Lists to which resources somebody may do something.",
      discussion: "Conditions are evaluated if attributes are told.")

    @OptionGroup var tenant: TenantArgument
    @Argument(help: "Who: user:alice, or a SPIFFE ID.") var subject: String
    @Argument(help: "What: resource:action.") var permission: String
    @OptionGroup var attributes: AttributeOptions
    @OptionGroup var pages: PageOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Server") var server: ServerOptions

    func run() async throws {
      var request = V1.ListResourcesRequest(
        tenant: try tenant.name(), subject: subject, permission: permission,
        attributes: try attributes.message(), pageSize: pages.pageSize)
      var revision: UInt64 = 0
      let (resources, next) = try await server.connected { connection in
        try await pages.collect { token in
          request.pageToken = token
          let page = try await connection.authorization.listResources(
            request, options: connection.options)
          revision = page.revision
          return (page.resources, page.nextPageToken)
        }
      }
      output.show(
        V1.ListResourcesResponse(resources: resources, nextPageToken: next, revision: revision),
        next: next, of: pages)
    }
  }
}

struct ExplainCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Why may somebody do something in a tenant, or not?")

  @OptionGroup var tenant: TenantArgument
  @Argument(help: "Who: user:alice, or a SPIFFE ID.") var subject: String
  @Argument(help: "What: resource:action.") var permission: String
  @Option(help: "Which one of the permission's resources, such as 42; all of them unless told.")
  var resource = ""
  @OptionGroup var attributes: AttributeOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.ExplainRequest(
      tenant: try tenant.name(), subject: subject, permission: permission, resource: resource,
      attributes: try attributes.message())
    let answer = try await server.connected {
      try await $0.authorization.explain(request, options: $0.options)
    }
    output.show(answer)
  }
}
