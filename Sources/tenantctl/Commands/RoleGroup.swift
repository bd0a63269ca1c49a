import ArgumentParser
import TenancyWire

/// `tenantctl role …`.
struct RoleGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "role", abstract: "Roles of a tenant, and who has them.",
    subcommands: [
      CreateRoleCommand.self, GetRoleCommand.self, ListRolesCommand.self, UpdateRoleCommand.self,
      DeleteRoleCommand.self, AddPermissionCommand.self, RemovePermissionCommand.self,
      AssignRoleCommand.self, UnassignRoleCommand.self, ListAssignmentsCommand.self,
    ])
}

/// The role that a command is about.
struct RoleArguments: ParsableArguments {
  @OptionGroup var tenant: TenantArgument
  @Argument(help: "The role's id in the tenant.") var role: String

  func name() throws(UsageError) -> String { try ResourceName.role(role, in: tenant.tenant) }
}

/// What a role does: all of it from now on.
struct RoleContentOptions: ParsableArguments {
  @Option(help: "resource:action, either may be *. May be repeated.") var permission: [String] = []
  @Option(
    help: ArgumentHelp(
      "What who has it may not do, whatever other roles allow; as --permission.",
      valueName: "permission"))
  var deny: [String] = []
  @Option(help: ArgumentHelp("A role that it inherits from. May be repeated.", valueName: "role"))
  var parent: [String] = []
  @Option(
    help: ArgumentHelp(
      "A role that nobody may have beside it. May be repeated.", valueName: "role"))
  var exclude: [String] = []
}

struct CreateRoleCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Creates a role.")

  @OptionGroup var role: RoleArguments
  @Option(help: "Its name for people.") var title = ""
  @Option(help: "What it is for.") var description = ""
  @OptionGroup var content: RoleContentOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.CreateRoleRequest(
      parent: try role.tenant.name(), roleId: role.role,
      role: V1.Role(
        title: title, description: description, permissions: content.permission,
        deniedPermissions: content.deny, parents: content.parent, excludedRoles: content.exclude),
      validateOnly: trial.dryRun, requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.authorization.createRole(request, options: $0.options)
      })
  }
}

struct GetRoleCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "get", abstract: "Shows a role.")

  @OptionGroup var role: RoleArguments
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.GetRoleRequest(name: try role.name())
    output.show(
      try await server.connected {
        try await $0.authorization.getRole(request, options: $0.options)
      }
    )
  }
}

struct ListRolesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists a tenant's roles.")

  @OptionGroup var tenant: TenantArgument
  @OptionGroup var pages: PageOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let parent = try tenant.name()
    let (roles, next) = try await server.connected { connection in
      try await pages.collect { token in
        let page = try await connection.authorization.listRoles(
          V1.ListRolesRequest(parent: parent, pageSize: pages.pageSize, pageToken: token),
          options: connection.options)
        return (page.roles, page.nextPageToken)
      }
    }
    output.show(V1.ListRolesResponse(roles: roles, nextPageToken: next), next: next, of: pages)
  }
}

struct UpdateRoleCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "update", abstract: "Changes a role.",
    discussion: """
      --permission replaces all permissions, see also add-permission; so do --deny, --parent and --exclude with what
      they name.
      """)

  @OptionGroup var role: RoleArguments
  @Option(help: "Its new name for people.") var title: String?
  @Option(help: "What it is for.") var description: String?
  @OptionGroup var content: RoleContentOptions
  @Flag(help: "Takes all permissions from it.") var unsetPermissions = false
  @Flag(help: "It denies nothing any more.") var unsetDenials = false
  @Flag(help: "It inherits from no role any more.") var unsetParents = false
  @Flag(help: "It excludes no role any more.") var unsetExclusions = false
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func request() throws(UsageError) -> V1.UpdateRoleRequest {
    var change = V1.Role(name: try role.name(), etag: etag.etag)
    var paths: [String] = []
    if let title {
      change.title = title
      paths.append("title")
    }
    if let description {
      change.description = description
      paths.append("description")
    }
    (change.permissions, change.deniedPermissions) = (content.permission, content.deny)
    (change.parents, change.excludedRoles) = (content.parent, content.exclude)
    for (path, wanted, unsets) in [
      ("permissions", content.permission, unsetPermissions),
      ("denied_permissions", content.deny, unsetDenials),
      ("parents", content.parent, unsetParents),
      ("excluded_roles", content.exclude, unsetExclusions),
    ] where unsets || !wanted.isEmpty {
      guard !unsets || wanted.isEmpty else {
        throw UsageError("\(path) can't be both set and unset")
      }
      paths.append(path)
    }
    guard !paths.isEmpty else {
      throw UsageError(
        "nothing to change: give --title, --description, --permission, --deny, --parent, --exclude or what to unset"
      )
    }
    return V1.UpdateRoleRequest(
      role: change, updateMask: GoogleProtobuf.FieldMask(paths: paths), validateOnly: trial.dryRun,
      requestId: repetition.requestID)
  }

  func run() async throws {
    let request = try request()
    output.show(
      try await server.connected {
        try await $0.authorization.updateRole(request, options: $0.options)
      })
  }
}

struct DeleteRoleCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Deletes a role.")

  @OptionGroup var role: RoleArguments
  @Flag(help: "Also takes it from all who have it.") var force = false
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.DeleteRoleRequest(
      name: try role.name(), etag: etag.etag, force: force, validateOnly: trial.dryRun,
      requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.authorization.deleteRole(request, options: $0.options)
      }, done: trial.done("deleted \(request.name)"))
  }
}

struct AddPermissionCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add-permission", abstract: "Gives a role permissions that it lacks.")

  @OptionGroup var role: RoleArguments
  @Argument(help: "resource:action, either may be *.") var permissions: [String]
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.AddRolePermissionsRequest(
      name: try role.name(), permissions: permissions, etag: etag.etag, validateOnly: trial.dryRun,
      requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.authorization.addRolePermissions(request, options: $0.options)
      })
  }
}

struct RemovePermissionCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove-permission", abstract: "Takes permissions from a role.")

  @OptionGroup var role: RoleArguments
  @Argument(help: "resource:action, as the role has it.") var permissions: [String]
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.RemoveRolePermissionsRequest(
      name: try role.name(), permissions: permissions, etag: etag.etag, validateOnly: trial.dryRun,
      requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.authorization.removeRolePermissions(request, options: $0.options)
      })
  }
}
