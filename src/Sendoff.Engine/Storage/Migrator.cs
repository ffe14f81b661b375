using System.Data.Common;
using System.Reflection;
using Microsoft.Extensions.Logging;

namespace Sendoff.Engine.Storage;

/// <summary>Upgrades a database to this program's schema, with numbered SQL files, forward only, each in its own transaction and recorded
/// in the table <c>migrations</c>. Every number is compared, because a program from another branch may have applied a higher number without
/// a lower one.</summary>
internal static class Migrator
{
    /// <param name="folder">The folder of the embedded resources, such as <c>Storage/Sqlite/Migrations/</c>.</param>
    /// <returns>The schema's number.</returns>
    /// <exception cref="StoreUnavailableException">The database has migrations that this program does not know.</exception>
    public static int Run(DbConnection connection, string folder, ILogger log)
    {
        var migrations = Read(folder);
        int newest = migrations[^1].Number;
        Execute(connection, null, "CREATE TABLE IF NOT EXISTS migrations(number INTEGER PRIMARY KEY, name TEXT NOT NULL)");
        var applied = Applied(connection);
        int[] unknown = [.. applied.Except(migrations.Select(migration => migration.Number)).Order()];
        if (unknown.Length > 0)
            throw new StoreUnavailableException(
                $"the database {connection.DataSource} has schema {string.Join(", ", unknown)} of a newer Sendoff, "
                    + $"and this one knows {newest}; "
                    + "update Sendoff, or use the backup made before the update"
            );
        Migration[] missing = [.. migrations.Where(migration => !applied.Contains(migration.Number))];
        if (applied.Count > 0 && missing.Length > 0)
            log.SchemaUpgrade(connection.DataSource, applied.Max(), newest);
        foreach (var migration in missing)
            Apply(connection, migration);
        return newest;
    }

    static void Apply(DbConnection connection, Migration migration)
    {
        using var transaction = connection.BeginTransaction();
        Execute(connection, transaction, migration.Sql);
        Execute(connection, transaction, $"INSERT INTO migrations(number, name) VALUES ({migration.Number}, '{migration.Name}')");
        transaction.Commit();
    }

    static HashSet<int> Applied(DbConnection connection)
    {
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT number FROM migrations";
        using var reader = command.ExecuteReader();
        var numbers = new HashSet<int>();
        while (reader.Read())
            numbers.Add(reader.GetInt32(0));
        return numbers;
    }

    static void Execute(DbConnection connection, DbTransaction? transaction, string sql)
    {
        using var command = connection.CreateCommand();
        command.Transaction = transaction;
        command.CommandText = sql;
        // A synchronous call with many statements uses a thread that keeps the process alive for seconds.
        command.ExecuteNonQueryAsync().GetAwaiter().GetResult();
    }

    static List<Migration> Read(string folder)
    {
        var assembly = Assembly.GetExecutingAssembly();
        return
        [
            .. assembly
                .GetManifestResourceNames()
                .Where(resource => resource.Replace('\\', '/').StartsWith(folder, StringComparison.Ordinal))
                .Select(resource => Read(assembly, resource))
                .OrderBy(migration => migration.Number),
        ];
    }

    static Migration Read(Assembly assembly, string resource)
    {
        using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!);
        string name = Path.GetFileNameWithoutExtension(resource.Replace('\\', '/'));
        return new(int.Parse(name.AsSpan(0, 4)), name, reader.ReadToEnd());
    }

    sealed record Migration(int Number, string Name, string Sql);
}
