"""What a crawl loads, loaded once for the processes forked from here. No reactor is installed."""

import scrapy.crawler

import archive.sqlite
import crawler.handlers
import crawler.pipelines
import crawler.spiders.weibo_official
import crawler.spiders.weibo_push
import crawler.spiders.weibo_search

__all__ = ["archive", "crawler", "scrapy"]
