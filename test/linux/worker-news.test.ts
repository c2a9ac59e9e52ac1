import { describe, expect, it } from 'vitest';
import type { PlaneEvent } from '../../src/data/plane.ts';
import { WorkerNews } from '../../src/linux/worker-news.ts';

const usedUp = (key: number, reason: 'packets' | 'bytes'): PlaneEvent =>
  ({ type: 'key-used-up', peer: 1, key, reason }) as PlaneEvent;
const linkError = (link: number, code: string, pathMtuBytes?: number): PlaneEvent =>
  ({ type: 'link-error', link, code, text: '', pathMtuBytes }) as PlaneEvent;

describe('what several workers notice', () => {
  it('of a key is told once for each reason, and of another key again', () => {
    const news = new WorkerNews();
    expect(news.isNews(usedUp(5, 'packets'), 0)).toBe(true);
    expect(news.isNews(usedUp(5, 'packets'), 0)).toBe(false);
    expect(news.isNews(usedUp(5, 'bytes'), 0)).toBe(true);
    expect(news.isNews(usedUp(6, 'packets'), 0)).toBe(true);
  });

  it('of a key that is gone is forgotten with it', () => {
    const news = new WorkerNews();
    news.isNews(usedUp(5, 'packets'), 0);
    news.forgetKey(5);
    expect(news.isNews(usedUp(5, 'packets'), 0)).toBe(true);
  });

  it('of a link is told once in most of a second, by link and error', () => {
    const news = new WorkerNews();
    expect(news.isNews(linkError(1, 'ECONNREFUSED'), 0)).toBe(true);
    expect(news.isNews(linkError(1, 'ECONNREFUSED'), 899)).toBe(false);
    expect(news.isNews(linkError(1, 'EMSGSIZE'), 899)).toBe(true);
    expect(news.isNews(linkError(1, 'EMSGSIZE', 1400), 899)).toBe(true);
    expect(news.isNews(linkError(1, 'EMSGSIZE', 1400), 899)).toBe(false);
    expect(news.isNews(linkError(2, 'ECONNREFUSED'), 899)).toBe(true);
    expect(news.isNews(linkError(1, 'ECONNREFUSED'), 900)).toBe(true);
  });

  it('of the way of packets is told when it is another', () => {
    const news = new WorkerNews();
    expect(['a', 'a', 'b', 'a'].map((text) => news.isNewPath(text))).toEqual([true, false, true, true]);
  });

  it('of anything else is always told', () => {
    const news = new WorkerNews();
    const event: PlaneEvent = { type: 'plane-failed', text: 'gone' };
    expect([news.isNews(event, 0), news.isNews(event, 0)]).toEqual([true, true]);
  });
});
