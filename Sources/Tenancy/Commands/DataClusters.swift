import Synchronization

/// A cluster of database servers that takes tenants' data.
public struct DataCluster: Sendable {
  /// What operators call it: never given to another while it has data. See `PlacementSettings.isName`.
  public let name: String
  /// Its `place` is `DataCluster.place(name)`.
  public let dataPlane: any DataPlane
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
  public init(name: String, dataPlane: any DataPlane, rules: Rules, maximumAtOnce: Int = 4) {
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
    guard rules.models.isEmpty || rules.models.contains(tenant.isolationModel),
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

  /// What a cluster said last of how many tenants it has, and those that were sent there since.
  private struct Load {
    var tenants: Int
    let until: ContinuousClock.Instant
  }

  /// Steps of the node's own data plane at once.
  static let maximumAtOnce = 8
  /// For how long a cluster's number of tenants is taken for granted.
  private static let loadHolds = Duration.seconds(10)

  init(_ own: any DataPlane, _ clusters: [DataCluster]) {
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
  /// what it may have. May block.
  /// - Throws: FAILED_PRECONDITION with PROVISIONING_UNSUPPORTED if none takes it.
  func choose(for tenant: Tenant, _ places: DataPlaces) throws(TenancyError) -> DataSite {
    if clusters.isEmpty { return own }
    let former = places.left.sorted().lazy.compactMap { self.clusters[$0] }.first
    if let former, let cluster = former.cluster, cluster.takes(tenant) { return former }
    let taking = self.places.compactMap { clusters[$0] }.filter {
      $0.cluster?.takes(tenant) == true
    }
    guard !taking.isEmpty else { throw Self.unplaced("no cluster takes such a tenant") }
    var best: (site: DataSite, share: Double)?
    var failure = "all clusters that take such tenants are full"
    for site in taking {
      do {
        let tenants = try load(of: site)
        let maximum = site.cluster?.rules.maximumTenants
        if let maximum, tenants >= maximum { continue }
        let share = Double(tenants) / Double(maximum ?? Self.usualTenants)
        if best.map({ share < $0.share }) ?? true { best = (site, share) }
      } catch {
        failure = "the cluster \(site.cluster?.name ?? "") can't be asked: \(error)"
      }
    }
    guard let best else { throw Self.unplaced(failure) }
    loads.withLock { $0[best.site.place]?.tenants += 1 }
    return best.site
  }

  /// What a cluster without a limit is compared by.
  private static let usualTenants = 10_000

  private func load(of site: DataSite) throws -> Int {
    let known = loads.withLock { $0[site.place] }
    if let known, known.until > .now { return known.tenants }
    let tenants = try site.plane.load()
    loads.withLock { $0[site.place] = Load(tenants: tenants, until: .now + Self.loadHolds) }
    return tenants
  }

  private static func unplaced(_ why: String) -> TenancyError {
    TenancyError(.failedPrecondition, .provisioningUnsupported, why)
  }
}

/// How a tenant's data is reached.
public struct DataAccess: Sendable {
  /// Of the cluster.
  public let cluster: String
  /// Where.
  public let location: DataLocation
  /// As whom.
  public let login: DataLogin
  /// Of the login.
  public let password: ClearSecret
}

extension Provisioner {
  /// How the data of an ACTIVE tenant is reached, where it is in a cluster.
  /// - Throws: what the tenant's state answers; FAILED_PRECONDITION with DATA_NOT_IN_CLUSTER; UNAVAILABLE if the password
  ///   can't be read now.
  public func access(to id: TenantID) async throws(TenancyError) -> DataAccess {
    guard let record = plane.state.find(id) else { throw .tenantNotFound }
    if let error = Lifecycle.refusal(for: record.tenant, at: plane.now) { throw error }
    let site = sites.site(of: DataPlaces(record))
    guard let cluster = site.cluster, let login = record.tenant.dataLogin,
      let location = site.plane.location(of: record.tenant)
    else {
      throw TenancyError(
        .failedPrecondition, .dataNotInCluster,
        "the tenant's data is in no cluster of this server's configuration")
    }
    guard let vault else { throw TenantCommands.loginsNotConfigured }
    do throws(StoreError) {
      guard let password = try await vault.open(.dataLogin(login.number), of: id) else {
        throw StoreError(.corrupt, "the tenant's login has no password")
      }
      return DataAccess(
        cluster: cluster.name, location: location, login: login, password: password)
    } catch {
      report(id, "the password of its login can't be read: \(error)")
      throw TenancyError(
        .unavailable, .storeUnavailable, "the password can't be read now", retryAfterSeconds: 1)
    }
  }
}
