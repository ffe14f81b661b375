namespace Sendoff.Engine.Storage.Sql;

/// <summary>The connections for reads, which are not blocked by the writer.</summary>
/// <param name="explain">Converts an error to an outage; null if it is not one.</param>
internal sealed class SqlReaders(Func<SqlSession> open, int count, Func<Exception, StoreUnavailableException?> explain) : IAsyncDisposable
{
    readonly SemaphoreSlim free = new(count);
    readonly Stack<SqlSession> idle = new();

    /// <summary>Reads in one transaction, so that all of its statements see the same state.</summary>
    public async Task<T> ReadAsync<T>(Func<SqlSession, T> read, CancellationToken ct)
    {
        await free.WaitAsync(ct);
        try
        {
            var session = Take();
            try
            {
                return InTransaction(session, read);
            }
            finally
            {
                lock (idle)
                    idle.Push(session);
            }
        }
        catch (Exception error) when (explain(error) is { } unavailable)
        {
            throw unavailable;
        }
        finally
        {
            free.Release();
        }
    }

    SqlSession Take()
    {
        lock (idle)
            if (idle.TryPop(out var session))
                return session;
        return open();
    }

    static T InTransaction<T>(SqlSession session, Func<SqlSession, T> read)
    {
        session.BeginRead();
        T result;
        try
        {
            result = read(session);
        }
        catch
        {
            session.Rollback();
            throw;
        }
        session.Commit();
        return result;
    }

    /// <summary>The statements of idle connections.</summary>
    public IReadOnlyList<string> Statements
    {
        get
        {
            lock (idle)
                return [.. idle.SelectMany(static session => session.Statements)];
        }
    }

    /// <summary>Waits for readers.</summary>
    public async ValueTask DisposeAsync()
    {
        for (int i = 0; i < count; i++)
            await free.WaitAsync();
        while (idle.TryPop(out var session))
            session.Dispose();
    }
}
