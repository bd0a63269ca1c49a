public import TenancyRPCServices
public import TenancyRPC

/// All that the conformance server serves, on any protocol of the runtime.
public enum InteropServices {
  /// - Parameter health: what the health service tells.
  /// - Throws: `ReflectionError`.
  public static func methods(health: HealthStatus) throws -> [ServiceMethod] {
    let served = tested + HealthService(health).methods
    let reflection = try ReflectionService(
      serving: served, descriptorSets: [InteropDescriptors.fileDescriptorSet])
    return served + reflection.methods
  }

  /// The services under test, as `package.Service`.
  public static var names: [String] { Set(tested.map(\.service)).sorted() }

  private static var tested: [ServiceMethod] {
    TestService().methods + StreamingService().methods + LookupService().methods
  }
}
