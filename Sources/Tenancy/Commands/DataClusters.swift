import Synchronization

/// Makes and destroys tenants' data in a cluster that all nodes of a store reach.
public protocol ClusterDataPlane: DataPlane {
  /// How many tenants have data there. Blocks.
  func load() throws -> Int
  /// Where a tenant's login finds its data; nil where it has none.
  /// - Parameter category: which kind of its data; nil where it has no kinds.
  func location(of tenant: Tenant, _ category: DataCategory?) -> DataLocation?
  /// What is there of tenants, in words that operators may read. Blocks.
  func inventory() throws -> [TenantID: [String]]
  /// Destroys what is there of a tenant, whatever that is, and makes sure that nothing is left. Blocks.
  /// - Parameter permit: as `DataPlane.destroy`.
  func destroyAll(of tenant: TenantID, permit: () throws -> Void) throws
  /// Makes one more login of a tenant, closed where its others are to be. Doing it again changes nothing. Blocks.
  func makeLogin(_ number: UInt32, for tenant: Tenant, _ password: ClearSecret) throws
  /// Ends the sessions of a login, and takes it away; one that is not there is passed over. Blocks.
  func dropLogin(_ number: UInt32, of tenant: TenantID) throws
  /// Opens or closes all logins of a tenant that the store knows, as its state says, and ends sessions with what is
  /// closed. Doing it again changes nothing. Blocks.
  /// - Parameter isRepair: whether the tenant's epoch counts though something was done for a later one.
  /// - Throws: why it failed, or that it was done for a later epoch of the tenant.
  func settleLogins(of tenant: Tenant, isRepair: Bool) throws
  /// What logins of tenants there are, by their numbers, and whether one can log in with them. Blocks.
  func logins() throws -> [TenantID: [UInt32: Bool]]
  /// Identifiers in shared tables that no tenant is registered with there, at most so many, with the tables. Blocks.
  func strayRows(limit: Int) throws -> [String: [String]]
  /// Removes rows of such an identifier. Blocks.
  /// - Parameter permit: as `DataPlane.destroy`.
  func removeStrayRows(of identifier: String, permit: () throws -> Void) throws
  /// Makes again what is missing of a tenant and holds none of its data: its logins and what they may do. Blocks.
  /// - Parameter password: of the tenant's `dataLogin`.
  /// - Throws: why it failed, or that data is missing, which nothing brings back.
  func repair(_ tenant: Tenant, _ password: ClearSecret) throws
}

/// Where a tenant's data is, for its login.
public struct DataLocation: Hashable, Sendable {
  /// `HOST:PORT`; a socket's directory and the port likewise.
  public var hosts: [String]
  /// Whether TLS is required, with the server's name verified.
  public var isTLS: Bool
  /// The database's name.
  public var database: String
  /// Schemas, in the order in which names are looked for.
  public var searchPath: [String]
  /// As whom to log in.
  public var username: String

  /// Validates nothing.
  public init(
    hosts: [String], isTLS: Bool, database: String, searchPath: [String], username: String
  ) {
    self.hosts = hosts
    self.isTLS = isTLS
    self.database = database
    self.searchPath = searchPath
    self.username = username
  }
}

/// A cluster of database servers that takes tenants' data.
public struct DataCluster: Sendable {
  /// What operators call it: never given to another while it has data. See `PlacementSettings.isName`.
  public let name: String
  /// Its `place` is `DataCluster.place(name)`.
  public let dataPlane: any ClusterDataPlane
  /// Which tenants it takes.
  public let rules: Rules
  /// Of how many tenants things are made or destroyed in it at once.
  public let maximumAtOnce: Int

  /// Which tenants a cluster takes that don't name it.
  public struct Rules: Hashable, Sendable {
    /// Empty: only of those that are in no region.
    public var region = ""
    /// Of these plans only; empty: of any.
    public var plans: Set<String> = []
    /// Of these models only; empty: of any.
    public var models: Set<IsolationModel> = []
    /// Tenants at most; nil: any number.
    public var maximumTenants: Int?

    /// Takes all that are in no region.
    public init() {}
  }

  /// - Parameter maximumAtOnce: at least one.
  public init(name: String, dataPlane: any ClusterDataPlane, rules: Rules, maximumAtOnce: Int = 4) {
    self.name = name
    self.dataPlane = dataPlane
    self.rules = rules
    self.maximumAtOnce = maximumAtOnce
  }

  /// The `DataPlane.place` of a cluster of this name.
  public static func place(_ name: String) -> String { DataPlaces.clusterPrefix + name }

  /// Whether its rules take this tenant, for all but its load.
  func takes(_ tenant: Tenant) -> Bool {
    let wanted = tenant.configuration.placement ?? PlacementSettings()
    guard rules.models.isEmpty || rules.models.isSuperset(of: tenant.models),
      wanted.region.isEmpty || wanted.region == rules.region
    else { return false }
    if !wanted.cluster.isEmpty { return wanted.cluster == name }
    return (rules.region.isEmpty || wanted.region == rules.region)
      && (rules.plans.isEmpty || rules.plans.contains(tenant.configuration.limits?.plan ?? ""))
  }
}

/// Where things are made, one of those that a node reaches: its own directory, or a cluster.
struct DataSite: Sendable {
  let place: String
  let plane: any DataPlane
  /// Of what may block there. All threads of a process that waited for one data plane would leave none for the
  /// others' calls.
  let turns: Turns
  /// Nil: the node's own.
  let cluster: DataCluster?
}

/// What a node reaches. Thread-safe.
final class DataSites: Sendable {
  /// What is in no cluster.
  let own: DataSite
  /// By place.
  private let clusters: [String: DataSite]
  /// In the order of the configuration.
  private let places: [String]
  private let loads = Mutex<[String: Load]>([:])

  /// What a cluster said last of how many tenants it has, and those that were sent there since; nil: it could not be
  /// asked.
  private struct Load {
    var tenants: Int?
    let until: ContinuousClock.Instant
  }

  /// Steps of the node's own data plane at once.
  static let maximumAtOnce = 8
  /// See `Provisioner.Terms`.
  private let loadsHold: Duration

  init(_ own: any DataPlane, _ clusters: [DataCluster], loadsHold: Duration) {
    self.loadsHold = loadsHold
    self.own = DataSite(
      place: own.place ?? DataPlaces.only, plane: own, turns: Turns(Self.maximumAtOnce),
      cluster: nil)
    places = clusters.map { DataCluster.place($0.name) }
    self.clusters = Dictionary(
      clusters.map { cluster in
        let place = DataCluster.place(cluster.name)
        let turns = Turns(cluster.maximumAtOnce)
        return (
          place, DataSite(place: place, plane: cluster.dataPlane, turns: turns, cluster: cluster)
        )
      }, uniquingKeysWith: { first, _ in first })
  }

  /// The site of a cluster; nil for one that is not configured.
  func cluster(_ name: String) -> DataSite? { clusters[DataCluster.place(name)] }

  /// Of all clusters.
  var clusterPlaces: Set<String> { Set(places) }

  /// In the order of the configuration.
  var all: [DataSite] { places.compactMap { clusters[$0] } }

  /// The site of a place; nil for one that this node does not reach.
  func find(_ place: String) -> DataSite? { place == own.place ? own : clusters[place] }

  /// Where a tenant's data is, or was to be destroyed: of what this node reaches, the most likely.
  func site(of places: DataPlaces) -> DataSite {
    if let made = places.made.sorted().lazy.compactMap({ self.clusters[$0] }).first { return made }
    guard places.made.isEmpty, !places.left.contains(own.place) else { return own }
    return places.left.sorted().lazy.compactMap { self.clusters[$0] }.first ?? own
  }

  /// Where there is something to be destroyed that nobody uses.
  func left(of places: DataPlaces) -> [DataSite] {
    places.left.sorted().filter(places.isLeft).compactMap(find)
  }

  /// Where a tenant without data is to have it: where it had it, or in the cluster that takes it and has the least of
  /// what it may have.
  /// - Parameter ask: asks a cluster how many tenants it has, where that is not known.
  /// - Throws: FAILED_PRECONDITION with PROVISIONING_UNSUPPORTED if none takes it.
  func choose(
    for tenant: Tenant, _ places: DataPlaces,
    asking ask: (DataSite, DataCluster) async throws -> Int
  ) async throws(TenancyError) -> DataSite {
    if clusters.isEmpty { return own }
    let former = places.left.sorted().lazy.compactMap { self.clusters[$0] }.first
    if let former, let cluster = former.cluster, cluster.takes(tenant) { return former }
    let wanted = self.places.compactMap { clusters[$0] }.filter {
      $0.cluster?.takes(tenant) == true
    }
    guard !wanted.isEmpty else { throw Self.unplaced("no cluster takes such a tenant") }
    let able = wanted.filter { $0.plane.refusal(for: tenant) == nil }
    // Where none is, the tenant hears why from the one that would be it.
    let taking = able.isEmpty ? wanted : able
    var best: (site: DataSite, share: Double)?
    var failure = "all clusters that take such tenants are full"
    for site in taking {
      guard let cluster = site.cluster else { continue }
      do {
        let tenants = try await load(of: site, cluster, ask)
        let maximum = cluster.rules.maximumTenants
        if let maximum, tenants >= maximum { continue }
        let share = Double(tenants) / Double(maximum ?? Self.usualTenants)
        if best.map({ share < $0.share }) ?? true { best = (site, share) }
      } catch {
        failure = "the cluster \(cluster.name) can't be asked: \(error)"
      }
    }
    guard let best else { throw Self.unplaced(failure) }
    loads.withLock { loads in
      if let tenants = loads[best.site.place]?.tenants {
        loads[best.site.place]?.tenants = tenants + 1
      }
    }
    return best.site
  }

  /// What a cluster without a limit is compared by.
  private static let usualTenants = 10_000

  private struct Unreachable: Error, CustomStringConvertible {
    let description = "it could not be asked a moment ago"
  }

  private func load(
    of site: DataSite, _ cluster: DataCluster,
    _ ask: (DataSite, DataCluster) async throws -> Int
  ) async throws -> Int {
    if let known = loads.withLock({ $0[site.place] }), known.until > .now {
      guard let tenants = known.tenants else { throw Unreachable() }
      return tenants
    }
    do {
      let tenants = try await ask(site, cluster)
      note(tenants, of: site, for: loadsHold)
      return tenants
    } catch {
      // Whoever comes next must not wait for it, too.
      note(nil, of: site, for: Self.failureHolds)
      throw error
    }
  }

  private func note(_ tenants: Int?, of site: DataSite, for duration: Duration) {
    let load = Load(tenants: tenants, until: .now + duration)
    loads.withLock { $0[site.place] = load }
  }

  /// For how long a cluster that could not be asked is not asked again.
  private static let failureHolds = Duration.seconds(1)

  private static func unplaced(_ why: String) -> TenancyError {
    TenancyError(.failedPrecondition, .provisioningUnsupported, why)
  }
}
