using System.Threading.Channels;
using Microsoft.AspNetCore.Components;
using Sendoff.Engine;
using Sendoff.Server;

namespace Sendoff.Ui.Live;

/// <summary>A part of an interactive page that is read again after changes, at most once in <see cref="between"/>. On a static page,
/// Scripts/live.js does this.</summary>
public abstract class Following : ComponentBase, IDisposable
{
    static readonly TimeSpan between = TimeSpan.FromMilliseconds(100);
    readonly CancellationTokenSource end = new();

    [Inject]
    public ChangeFeed Changes { get; set; } = null!;

    [Inject]
    public TimeProvider Time { get; set; } = null!;

    [Inject]
    public ILogger<Following> Log { get; set; } = null!;

    /// <summary>Cancelled when the reader leaves the page.</summary>
    protected CancellationToken End => end.Token;

    /// <summary>Whether the change affects this part.</summary>
    protected abstract bool Concerns(Change change);

    protected abstract Task ReadAsync();

    protected override Task OnParametersSetAsync() => ReadAsync();

    protected override void OnAfterRender(bool firstRender)
    {
        if (firstRender)
            _ = FollowAsync();
    }

    async Task FollowAsync()
    {
        var changed = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        try
        {
            var listening = ListenAsync(changed.Writer);
            // Changes between the first rendering and now are not missed.
            changed.Writer.TryWrite(true);
            await foreach (bool _ in changed.Reader.ReadAllAsync(End))
            {
                await ReadAgainAsync();
                await Task.Delay(between, Time, End);
            }
            await listening;
        }
        catch (Exception x) when (x is OperationCanceledException or ObjectDisposedException)
        {
            // The reader has left the page.
        }
    }

    /// <summary>If reading fails, the content stays unchanged until the next change.</summary>
    async Task ReadAgainAsync()
    {
        try
        {
            await InvokeAsync(async () =>
            {
                await ReadAsync();
                StateHasChanged();
            });
        }
        catch (Exception x) when (x is not (OperationCanceledException or ObjectDisposedException))
        {
            Log.PageReadFailed(x, GetType().Name);
        }
    }

    async Task ListenAsync(ChannelWriter<bool> changed)
    {
        await foreach (var change in Changes.ListenAsync(End))
            if (Concerns(change))
                changed.TryWrite(true);
    }

    public void Dispose()
    {
        end.Cancel();
        end.Dispose();
        GC.SuppressFinalize(this);
    }
}
